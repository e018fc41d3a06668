"""Data sets cut from the graph: snapshots, splits by time, and the tensors that learners read."""
