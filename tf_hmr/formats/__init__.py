"""Files that others write, read without executing what is in them."""
