// name: popular_lately
// mode: read
// params: limit, without
// returns: items, scores, via
// What the most people bought in the weeks before the derivation's day, best first; for anyone, known or not.
CYPHER 25
MATCH (q:Product)
WHERE q.popularity > 0
WITH q
ORDER BY q.popularity DESC, q.id
WHERE NOT q.hidden AND q.stock > 0 AND q.retired_at > datetime() AND NOT q.id IN $without
LIMIT $limit
RETURN collect(q.id) AS items, collect(q.popularity) AS scores, collect(q.id) AS via
