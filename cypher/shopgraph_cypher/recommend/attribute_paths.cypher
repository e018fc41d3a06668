// name: attribute_paths
// mode: read
// params: user, as_of, limit, without, half_life_weeks, unbought_before
// returns: items, scores, via
// What shares brand, author, category or attribute with what the user bought last: a walk of two steps, in which each
// product leads to all that it states alike and each of these to all of its products alike, so the rarer the shared thing,
// the more it says; what more than 500 products share says nothing. `via` is the product that leads there most. Where
// `unbought_before` is a moment, only what nobody had bought before it.
CYPHER 25
MATCH (u:User {id: $user})-[b:PURCHASED]->(p:Product)
WHERE b.at < $as_of
WITH p, sum(0.5 ^ (($as_of.epochSeconds - b.at.epochSeconds) / (604800.0 * $half_life_weeks))) AS liking
ORDER BY liking DESC, p.id
LIMIT 60
CALL (p) {
  MATCH (p)-[:MADE_BY|WRITTEN_BY|IN_CATEGORY|HAS_ATTRIBUTE]->(shared)
  WITH shared, COUNT { (shared)<-[:MADE_BY|WRITTEN_BY|IN_CATEGORY|HAS_ATTRIBUTE]-() } AS products
  WHERE products > 1 AND products <= 500
  RETURN shared, 1.0 / products AS rarity
}
WITH shared, rarity, p, liking
ORDER BY liking DESC, p.id
WITH shared, rarity, sum(liking) AS liking, head(collect(p.id)) AS via
ORDER BY liking * rarity DESC, shared.id
LIMIT 40
MATCH (shared)<-[:MADE_BY|WRITTEN_BY|IN_CATEGORY|HAS_ATTRIBUTE]-(q:Product)
WHERE NOT q.hidden AND q.stock > 0 AND q.retired_at > datetime() AND NOT q.id IN $without
  AND ($unbought_before IS NULL OR NOT EXISTS { (q)<-[o:PURCHASED]-() WHERE o.at < $unbought_before })
WITH q, liking * rarity AS support, via
ORDER BY support DESC, via
WITH q, sum(support) * sqrt(1 + coalesce(q.popularity, 0)) AS score, head(collect(via)) AS via
ORDER BY score DESC, q.id
LIMIT $limit
RETURN collect(q.id) AS items, collect(score) AS scores, collect(via) AS via
