// name: sessions_forgotten
// mode: write
// params: before, limit
// returns: sessions
// Removes sessions that were last seen before a moment, with what happened in them.
CYPHER 25
MATCH (v:Session)
WHERE v.seen_at < $before
WITH v
LIMIT $limit
DETACH DELETE v
RETURN count(*) AS sessions
