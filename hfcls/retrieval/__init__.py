"""Retrieval of pictures by text and of texts by picture."""
