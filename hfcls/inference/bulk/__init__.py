"""Many files of texts classified at once, on this machine or on a cluster of Ray or Spark."""
