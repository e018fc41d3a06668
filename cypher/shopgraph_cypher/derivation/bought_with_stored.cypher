// name: bought_with_stored
// mode: read
// params: -
// returns: id, ids, weights
// Every product's BOUGHT_WITH neighbours as they stand, one record a product.
CYPHER 25
MATCH (p:Product)-[b:BOUGHT_WITH]->(q:Product)
RETURN p.id AS id, collect(q.id) AS ids, collect(b.weight) AS weights
