"""Records: their schema, shards, index and parsing."""
