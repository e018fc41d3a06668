// name: load_written_by
// mode: write
// params: rows, source, run
// returns: written
// Merges WRITTEN_BY of [product, author] rows, but for products whose WRITTEN_BY a curator has set.
CYPHER 25
UNWIND $rows AS row
MATCH (p:Product {id: row[0]})
WHERE NOT 'WRITTEN_BY' IN coalesce(p.curated, [])
MATCH (n:Author {id: row[1]})
MERGE (p)-[r:WRITTEN_BY]->(n)
SET r.source = $source, r.run = $run
RETURN count(*) AS written
