"""Evaluation: protocols, sources of predictions, measures and figures."""
