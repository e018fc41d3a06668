"""What people say about the graph, kept beside it."""
