// name: similar_users
// mode: read
// params: user, as_of, limit, without, half_life_weeks
// returns: items, scores, via
// What the users who buy most like the user bought in the last twelve weeks, weighed by how alike they are and by how much
// and how lately they bought it.
CYPHER 25
MATCH (u:User {id: $user})-[s:SIMILAR_TO]->(o:User)
CALL (o) {
  MATCH (o)-[b:PURCHASED]->(q:Product)
  WHERE b.at < $as_of AND b.at >= $as_of - duration('P84D')
  WITH q, sum(0.5 ^ (($as_of.epochSeconds - b.at.epochSeconds) / (604800.0 * $half_life_weeks))) AS liking
  RETURN q, sqrt(liking) AS liking
}
WITH q, sum(s.weight * liking) AS score
ORDER BY score DESC, q.id
WHERE NOT q.hidden AND q.stock > 0 AND q.retired_at > datetime() AND NOT q.id IN $without
LIMIT $limit
RETURN collect(q.id) AS items, collect(score) AS scores, [q IN collect(q) | null] AS via
