"""Speed of exported files, stage by stage, and the page of edge.report."""
