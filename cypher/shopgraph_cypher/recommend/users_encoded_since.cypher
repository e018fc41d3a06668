// name: users_encoded_since
// mode: read
// params: since
// returns: ids
// Users whose vectors carry purchases of an instant or later: those who got theirs after the last training.
CYPHER 25
MATCH (u:User)
WHERE u.graph_blue_until >= $since OR u.graph_green_until >= $since
RETURN collect(u.id) AS ids
