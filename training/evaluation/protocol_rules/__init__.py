"""Protocols by dataset: each module holds PROTOCOLS, rows of Protocol."""
