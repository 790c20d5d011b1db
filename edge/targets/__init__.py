"""Devices that are not at hand, as far as software can stand for them."""
