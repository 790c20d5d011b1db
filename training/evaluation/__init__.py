"""What protocols ask for, how predictions are measured, and what is drawn."""
