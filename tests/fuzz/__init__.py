"""Damaged inputs for everything that reads files: python -m tests.fuzz."""
