// name: load_made_by
// mode: write
// params: rows, source, run
// returns: written
// Merges MADE_BY of [product, brand] rows, but for products whose MADE_BY a curator has set.
CYPHER 25
UNWIND $rows AS row
MATCH (p:Product {id: row[0]})
WHERE NOT 'MADE_BY' IN coalesce(p.curated, [])
MATCH (n:Brand {id: row[1]})
MERGE (p)-[r:MADE_BY]->(n)
SET r.source = $source, r.run = $run
RETURN count(*) AS written
