// name: user_purchases
// mode: read
// params: id, skip, limit
// returns: total, purchases
// A page of what a user bought, latest first, and how many order lines there are in all.
CYPHER 25
MATCH (u:User {id: $id})
CALL (u) {
  MATCH (u)-[r:PURCHASED]->(p:Product)
  WITH r, p ORDER BY r.at DESC, r.line_id SKIP $skip LIMIT $limit
  RETURN collect(r {.source, .at, .quantity, .amount, .discount, .order_id, id: p.id, title: p.title, category: p.category_1}) AS purchases
}
RETURN COUNT { (u)-[:PURCHASED]->() } AS total, purchases
