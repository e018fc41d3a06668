// name: due_again
// mode: read
// params: user, as_of, limit, without, half_life_weeks
// returns: items, scores, via
// What the user's own rhythm says is due: of each product bought on two days or more the mean gap between those days, and how
// much of it has passed since the last. Scores are those of `repeat_purchases` times the root of that share (1 once the gap
// is over), and fall again from three gaps on, when the rhythm is broken.
CYPHER 25
MATCH (u:User {id: $user})-[b:PURCHASED]->(q:Product)
WHERE b.at < $as_of AND NOT q.hidden AND q.stock > 0 AND q.retired_at > datetime() AND NOT q.id IN $without
WITH q, min(b.at.epochSeconds) AS first, max(b.at.epochSeconds) AS last, count(DISTINCT date(b.at)) AS days,
     sum(0.5 ^ (($as_of.epochSeconds - b.at.epochSeconds) / (604800.0 * $half_life_weeks))) AS liking
WHERE days > 1
WITH q, liking, ($as_of.epochSeconds - last) * (days - 1.0) / (last - first) AS gaps
WITH q, liking * CASE WHEN gaps < 1 THEN sqrt(gaps) WHEN gaps > 3 THEN 3 / gaps ELSE 1 END AS score
ORDER BY score DESC, q.id
LIMIT $limit
RETURN collect(q.id) AS items, collect(score) AS scores, collect(q.id) AS via
