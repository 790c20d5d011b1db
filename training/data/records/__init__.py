"""Records: their schema, shards and index, and how they are parsed."""
