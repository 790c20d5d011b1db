"""Readers of files of other programs, which never run code from them."""
