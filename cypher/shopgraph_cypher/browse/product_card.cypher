// name: product_card
// mode: read
// params: id
// returns: product
// One product as the API answers it: its catalogue facts, brand, authors and category path.
CYPHER 25
MATCH (p:Product {id: $id})
RETURN p {
  .id, .source, .title, .description, .price, .image, .package_size, .stock, .hidden, .retired_at, .first_seen, .popularity,
  brand: head(COLLECT { MATCH (p)-[:MADE_BY]->(b:Brand) RETURN b.name LIMIT 1 }),
  authors: COLLECT { MATCH (p)-[:WRITTEN_BY]->(a:Author) RETURN a.name LIMIT 20 },
  category: head(COLLECT { MATCH (p)-[:IN_CATEGORY]->(c:Category) RETURN c.id ORDER BY c.level DESC LIMIT 1 })
} AS product
