"""Events as they happen: accepted once durable in a stream, written to the graph by a process of its own."""
