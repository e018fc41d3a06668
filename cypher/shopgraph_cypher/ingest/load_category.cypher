// name: load_category
// mode: write
// params: rows, source, run
// returns: rows
// Merges categories; what a row leaves out stays as it is.
CYPHER 25
UNWIND $rows AS row
MERGE (n:Category {id: row.id})
SET n += row.values, n.source = $source, n.run = $run
RETURN count(*) AS rows
