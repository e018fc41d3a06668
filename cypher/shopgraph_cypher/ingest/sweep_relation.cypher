// name: sweep_relation
// mode: write
// params: rows, type, target, source
// returns: removed
// Removes a source's relations of [product, target] rows; those of products whose relation a curator has set stay.
CYPHER 25
UNWIND $rows AS row
MATCH (p:Product {id: row[0]})-[r:$($type)]->(n:$($target))
WHERE n.id = row[1] AND r.source = $source AND NOT $type IN coalesce(p.curated, [])
DELETE r
RETURN count(*) AS removed
