"""Faults of records that training would not tell."""
