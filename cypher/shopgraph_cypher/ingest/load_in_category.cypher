// name: load_in_category
// mode: write
// params: rows, source, run
// returns: written
// Merges IN_CATEGORY of [product, category] rows, but for products whose IN_CATEGORY a curator has set.
CYPHER 25
UNWIND $rows AS row
MATCH (p:Product {id: row[0]})
WHERE NOT 'IN_CATEGORY' IN coalesce(p.curated, [])
MATCH (n:Category {id: row[1]})
MERGE (p)-[r:IN_CATEGORY]->(n)
SET r.source = $source, r.run = $run
RETURN count(*) AS written
