"""Rendered people: poses, appearance, images."""
