// name: bought_with_removed
// mode: write
// params: rows
// returns: removed
// Deletes BOUGHT_WITH from each row's product (`id`) to its `ids`.
CYPHER 25
UNWIND $rows AS row
MATCH (p:Product {id: row.id})-[b:BOUGHT_WITH]->(q:Product)
WHERE q.id IN row.ids
DELETE b
RETURN count(*) AS removed
