// name: similar_users_written
// mode: write
// params: rows
// returns: written
// Creates or updates SIMILAR_TO from each row's user (`id`) to its `ids` with their `weights`.
CYPHER 25
UNWIND $rows AS row
MATCH (u:User {id: row.id})
UNWIND range(0, size(row.ids) - 1) AS i
MATCH (o:User {id: row.ids[i]})
MERGE (u)-[b:SIMILAR_TO]->(o)
SET b.weight = row.weights[i]
RETURN count(b) AS written
