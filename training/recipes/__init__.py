"""Recipes shared by the experiments of one method."""
