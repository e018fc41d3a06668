"""Recommendations: candidates from named queries, fused by rank, explained by paths that are in the graph."""
