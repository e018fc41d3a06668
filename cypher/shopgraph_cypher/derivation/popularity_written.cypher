// name: popularity_written
// mode: write
// params: rows
// returns: written
// Sets the popularity of each row's product: its distinct buyers in the weeks before the derivation's day.
CYPHER 25
UNWIND $rows AS row
MATCH (p:Product {id: row.id})
SET p.popularity = row.count
RETURN count(p) AS written
