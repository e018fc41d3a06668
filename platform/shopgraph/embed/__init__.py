"""Graph embedding: encoders over the heterogeneous graph, trained to predict later purchases."""
