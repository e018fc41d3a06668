// name: sweep_product
// mode: write
// params: rows, at, never
// returns: retired
// Retires products by id; nothing is deleted.
CYPHER 25
UNWIND $rows AS id
MATCH (p:Product {id: id})
WHERE p.retired_at = $never
SET p.retired_at = $at
RETURN count(*) AS retired
