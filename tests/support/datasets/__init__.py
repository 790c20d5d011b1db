"""Tests of the readers of datasets, on files written in their layouts."""
