// name: bought_with_written
// mode: write
// params: rows
// returns: written
// Creates or updates BOUGHT_WITH from each row's product (`id`) to its `ids` with their `weights`.
CYPHER 25
UNWIND $rows AS row
MATCH (p:Product {id: row.id})
UNWIND range(0, size(row.ids) - 1) AS i
MATCH (q:Product {id: row.ids[i]})
MERGE (p)-[b:BOUGHT_WITH]->(q)
SET b.weight = row.weights[i]
RETURN count(b) AS written
