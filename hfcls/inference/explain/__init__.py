"""Which parts of a text made a classifier answer as it did."""
