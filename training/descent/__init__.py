"""What HUND's stages do, and the same descent by BFGS."""
