"""Claims of the papers, measured on rendered people."""
