"""A shop's knowledge graph that learns: ingest, train, publish, recommend and explain over Neo4j."""
