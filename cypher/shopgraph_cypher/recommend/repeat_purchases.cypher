// name: repeat_purchases
// mode: read
// params: user, as_of, limit, without, half_life_weeks
// returns: items, scores, via
// What the user buys again: purchases counted with a weight that halves every `half_life_weeks`.
CYPHER 25
MATCH (u:User {id: $user})-[b:PURCHASED]->(q:Product)
WHERE b.at < $as_of AND NOT q.hidden AND q.stock > 0 AND q.retired_at > datetime() AND NOT q.id IN $without
WITH q, sum(0.5 ^ (($as_of.epochSeconds - b.at.epochSeconds) / (604800.0 * $half_life_weeks))) AS score
ORDER BY score DESC, q.id
LIMIT $limit
RETURN collect(q.id) AS items, collect(score) AS scores, collect(q.id) AS via
