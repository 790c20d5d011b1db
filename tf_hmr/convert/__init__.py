"""Converters of the papers' own checkpoints to model folders."""
