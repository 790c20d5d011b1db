"""Checks of records for faults that training would not report."""
