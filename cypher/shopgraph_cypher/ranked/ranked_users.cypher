// name: ranked_users
// mode: read
// params: since, as_of
// returns: ids
// The users to rank for ahead: those who bought or viewed something between two moments.
CYPHER 25
MATCH (u:User)
WHERE EXISTS { (u)-[b:PURCHASED|VIEWED]->(:Product) WHERE b.at >= $since AND b.at < $as_of }
RETURN collect(u.id) AS ids
