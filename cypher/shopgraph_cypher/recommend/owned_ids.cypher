// name: owned_ids
// mode: read
// params: user, as_of
// returns: items
// Every product that the user bought before an instant.
CYPHER 25
MATCH (u:User {id: $user})-[b:PURCHASED]->(p:Product)
WHERE b.at < $as_of
RETURN collect(DISTINCT p.id) AS items
