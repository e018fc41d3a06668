// name: users_page
// mode: read
// params: prefix, after, limit
// returns: users
// A page of users in the order of their pseudonyms, those that begin with `prefix` and come after `after`, with their purchases counted.
CYPHER 25
MATCH (u:User)
WHERE u.id STARTS WITH $prefix AND u.id > $after
WITH u ORDER BY u.id LIMIT $limit
RETURN collect(u {.id, .age, .income, .household_size, purchases: COUNT { (u)-[:PURCHASED]->() }}) AS users
