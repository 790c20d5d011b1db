"""Rendered people: poses, appearance, pictures."""
