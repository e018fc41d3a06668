// name: recommendations_forgotten
// mode: write
// params: before, limit
// returns: recommendations
// Removes what was shown before a moment.
CYPHER 25
MATCH (r:Recommendation)
WHERE r.kept_at < $before
WITH r
LIMIT $limit
DELETE r
RETURN count(*) AS recommendations
