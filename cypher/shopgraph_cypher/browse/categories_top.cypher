// name: categories_top
// mode: read
// params: limit
// returns: categories
// The categories at the top level by name, what the product list filters by.
CYPHER 25
MATCH (c:Category {level: 1})
WITH c ORDER BY c.name LIMIT $limit
RETURN collect(c {.id, .name}) AS categories
