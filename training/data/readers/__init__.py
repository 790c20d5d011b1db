"""Shared code of the dataset readers; the commands are in prepare."""
