"""What the readers of datasets share; the commands are in prepare."""
