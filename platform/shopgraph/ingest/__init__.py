"""From a shop's files to the graph: one source a file, read, cleaned, loaded and swept."""
