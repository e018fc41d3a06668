"""What keeps people's names out of the graph."""
