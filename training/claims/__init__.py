"""The papers' claims, measured on rendered people."""
