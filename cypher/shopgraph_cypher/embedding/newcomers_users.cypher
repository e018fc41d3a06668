// name: newcomers_users
// mode: read
// params: before, least, edges, segments, limit
// returns: id, edge_count, segments, events
// The users with at least `least` purchases since `before` whose vector was made of another number of purchases (`edges`)
// than they have now, or before they had those; `events` has a triple of type, id and time for all that each user did.
CYPHER 25
MATCH (u:User)-[b:PURCHASED]->(:Product)
WHERE b.at >= $before
WITH u, count(*) AS since
WHERE since >= $least AND coalesce(u[$edges], -1) <> COUNT { (u)-[:PURCHASED]->() }
WITH u
ORDER BY u.id
LIMIT $limit
RETURN u.id AS id, COUNT { (u)-[:PURCHASED]->() } AS edge_count,
       [name IN $segments WHERE u[name] IS NOT NULL | [name, u[name]]] AS segments,
       COLLECT { MATCH (u)-[b:PURCHASED|VIEWED|SEARCHED|RATED]->(n)
                 WHERE b.at IS NOT NULL
                 RETURN [type(b), n.id, b.at.epochMillis] } AS events
