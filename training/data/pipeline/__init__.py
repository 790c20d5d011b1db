"""From record folders to batches: sources, order, crops, labels."""
