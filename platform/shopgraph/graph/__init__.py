"""Everything that speaks to Neo4j: no other package imports a Neo4j client."""
