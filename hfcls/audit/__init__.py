"""What is wrong with a corpus, found before anyone trains on it."""
