// name: product_ids
// mode: read
// params: key
// returns: ids, filled
// Every product's id, and the ids of those that carry the slot property, in one record.
CYPHER 25
MATCH (n:Product)
RETURN collect(n.id) AS ids, collect(CASE WHEN n[$key] IS NOT NULL THEN n.id END) AS filled
