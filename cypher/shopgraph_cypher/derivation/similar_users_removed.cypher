// name: similar_users_removed
// mode: write
// params: rows
// returns: removed
// Deletes SIMILAR_TO from each row's user (`id`) to its `ids`.
CYPHER 25
UNWIND $rows AS row
MATCH (u:User {id: row.id})-[b:SIMILAR_TO]->(o:User)
WHERE o.id IN row.ids
DELETE b
RETURN count(*) AS removed
