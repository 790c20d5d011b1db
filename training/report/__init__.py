"""The papers' tables with our results, and what is measured besides."""
