"""Checkpoints of original code to model folders."""
