// name: load_brand
// mode: write
// params: rows, source, run
// returns: rows
// Merges brands; what a row leaves out stays as it is.
CYPHER 25
UNWIND $rows AS row
MERGE (n:Brand {id: row.id})
SET n += row.values, n.source = $source, n.run = $run
RETURN count(*) AS rows
