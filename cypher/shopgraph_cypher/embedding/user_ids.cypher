// name: user_ids
// mode: read
// params: key
// returns: ids, filled
// Every user's id, and the ids of those that carry the slot property, in one record.
CYPHER 25
MATCH (n:User)
RETURN collect(n.id) AS ids, collect(CASE WHEN n[$key] IS NOT NULL THEN n.id END) AS filled
