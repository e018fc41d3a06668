// name: products_unknown
// mode: read
// params: items
// returns: items
// Those of some ids that no product has.
CYPHER 25
UNWIND $items AS item
OPTIONAL MATCH (p:Product {id: item})
WITH item, p
WHERE p IS NULL
RETURN collect(item) AS items
