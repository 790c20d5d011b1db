"""What experiments of one method share."""
