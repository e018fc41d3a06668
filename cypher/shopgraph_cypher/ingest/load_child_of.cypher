// name: load_child_of
// mode: write
// params: rows, source, run
// returns: written
// Merges CHILD_OF of [category, parent] rows.
CYPHER 25
UNWIND $rows AS row
MATCH (c:Category {id: row[0]})
MATCH (parent:Category {id: row[1]})
MERGE (c)-[r:CHILD_OF]->(parent)
SET r.source = $source, r.run = $run
RETURN count(*) AS written
