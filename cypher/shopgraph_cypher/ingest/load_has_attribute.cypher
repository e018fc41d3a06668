// name: load_has_attribute
// mode: write
// params: rows, source, run
// returns: written
// Merges HAS_ATTRIBUTE of [product, attribute] rows, but for products whose HAS_ATTRIBUTE a curator has set.
CYPHER 25
UNWIND $rows AS row
MATCH (p:Product {id: row[0]})
WHERE NOT 'HAS_ATTRIBUTE' IN coalesce(p.curated, [])
MATCH (n:Attribute {id: row[1]})
MERGE (p)-[r:HAS_ATTRIBUTE]->(n)
SET r.source = $source, r.run = $run
RETURN count(*) AS written
