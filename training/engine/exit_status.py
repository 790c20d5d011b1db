"""What a training process says to whoever started it, by its exit status."""

COMPLETE = 0
FAILED = 1
"""The message on stderr says what to mend."""
STOPPED = 75
"""SIGTERM came: the state is saved, and the same command continues."""
PEER_LOST = 76
"""Another worker went away; start all of them again with the same command."""
INTERRUPTED = 130
"""Ctrl-C; continues from the last checkpoint."""
