"""Report: the papers' tables with our results, other results and claims."""
