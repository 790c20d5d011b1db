"""The page on exported models: size, time and error in every precision."""
