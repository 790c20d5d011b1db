"""The numbers that the papers print, and how our results compare."""
