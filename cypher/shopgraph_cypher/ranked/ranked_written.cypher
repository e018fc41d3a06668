// name: ranked_written
// mode: write
// params: label, rows
// returns: written
// Sets lists that were ranked ahead, by property, of each row's user or product.
CYPHER 25
UNWIND $rows AS row
CALL (row) {
  WITH row WHERE $label = 'User'
  MATCH (n:User {id: row.id})
  RETURN n
  UNION
  WITH row WHERE $label = 'Product'
  MATCH (n:Product {id: row.id})
  RETURN n
}
SET n += row.lists
RETURN count(n) AS written
