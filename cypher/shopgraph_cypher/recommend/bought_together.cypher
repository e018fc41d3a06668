// name: bought_together
// mode: read
// params: user, as_of, limit, without
// returns: items, scores, via
// What shares baskets with the products the user bought last, weighed by how many people buy it of late (the cosine alone
// favours rare pairs); `via` is the one it is bought with most.
CYPHER 25
MATCH (u:User {id: $user})-[b:PURCHASED]->(p:Product)
WHERE b.at < $as_of
WITH p, max(b.at) AS last, count(*) AS times
ORDER BY last DESC, times DESC, p.id
LIMIT 60
MATCH (p)-[w:BOUGHT_WITH]->(q:Product)
WITH q, p, w
ORDER BY w.weight DESC, p.id
WITH q, sum(w.weight) AS weight, head(collect(p.id)) AS via
WITH q, weight * (1 + coalesce(q.popularity, 0)) ^ 0.7 AS score, via
ORDER BY score DESC, q.id
WHERE NOT q.hidden AND q.stock > 0 AND q.retired_at > datetime() AND NOT q.id IN $without
LIMIT $limit
RETURN collect(q.id) AS items, collect(score) AS scores, collect(via) AS via
