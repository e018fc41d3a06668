// name: text_new_arrivals_green
// mode: read
// params: release, user, as_of, limit, without, unbought_before, reach
// returns: items, scores, via
// What nobody had bought before a moment and reads like what the user bought: nearest to the mean of the 60 products that
// the user bought last, the less known counting more, in the text embedding that a release serves from the green slot.
CYPHER 25
MATCH (:Release {id: $release, text_slot: 'green'})
CALL () {
  MATCH (:User {id: $user})-[b:PURCHASED]->(p:Product)
  WHERE b.at < $as_of AND p.text_green IS NOT NULL
  WITH p, max(b.at) AS last
  ORDER BY last DESC, p.id
  LIMIT 60
  RETURN collect({vector: p.text_green, weight: 1 / sqrt(1.0 + coalesce(p.popularity, 0))}) AS own
}
WITH own, size(head(own).vector) AS dimension
WHERE dimension > 0
WITH [i IN range(0, dimension - 1) | reduce(total = 0.0, p IN own | total + p.weight * p.vector[i])] AS vector
WHERE reduce(squares = 0.0, x IN vector | squares + x * x) > 1e-9
MATCH (q:Product)
SEARCH q IN (VECTOR INDEX product_text_green FOR vector
  WHERE q.hidden = false AND q.stock > 0 AND q.retired_at > datetime()
  LIMIT $reach) SCORE AS score
WITH q, score
ORDER BY score DESC, q.id
WHERE NOT q.id IN $without
  AND NOT EXISTS { (q)<-[b:PURCHASED]-() WHERE b.at < $unbought_before }
LIMIT $limit
RETURN collect(q.id) AS items, collect(score) AS scores, [place IN range(1, count(q)) | null] AS via
