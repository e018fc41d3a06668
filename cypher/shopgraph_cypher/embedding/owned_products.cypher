// name: owned_products
// mode: read
// params: before
// returns: user, products
// What each user had bought before an instant, one record a user.
CYPHER 25
MATCH (u:User)-[b:PURCHASED]->(p:Product)
WHERE b.at < $before
RETURN u.id AS user, collect(DISTINCT p.id) AS products
