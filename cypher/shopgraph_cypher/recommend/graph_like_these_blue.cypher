// name: graph_like_these_blue
// mode: read
// params: release, like, unlike, unlike_share, limit, without, reach
// returns: items, scores, via
// The products nearest to the mean of those that are liked, less a share of the mean of those that are not, in the graph
// embedding that a release serves from the blue slot; `via` is the liked one that it is nearest to.
CYPHER 25
MATCH (:Release {id: $release, graph_slot: 'blue'})
CALL () {
  UNWIND $like AS id
  MATCH (p:Product {id: id})
  WHERE p.graph_blue IS NOT NULL
  RETURN collect(p) AS liked
}
CALL () {
  UNWIND $unlike AS id
  MATCH (p:Product {id: id})
  WHERE p.graph_blue IS NOT NULL
  RETURN collect(p.graph_blue) AS unliked
}
WITH liked, unliked, size(head(liked).graph_blue) AS dimension
WHERE dimension > 0
WITH liked, [i IN range(0, dimension - 1) |
  reduce(total = 0.0, p IN liked | total + p.graph_blue[i] / size(liked))
  - $unlike_share * reduce(total = 0.0, v IN unliked | total + v[i] / size(unliked))] AS vector
WHERE reduce(squares = 0.0, x IN vector | squares + x * x) > 1e-9
MATCH (q:Product)
SEARCH q IN (VECTOR INDEX product_graph_blue FOR vector LIMIT $reach) SCORE AS score
WITH q, score, liked
ORDER BY score DESC, q.id
WHERE NOT q.hidden AND q.stock > 0 AND q.retired_at > datetime() AND NOT q.id IN $without
LIMIT $limit
CALL (q, liked) {
  UNWIND liked AS p
  WITH p.id AS id, vector.similarity.cosine(p.graph_blue, q.graph_blue) AS near
  ORDER BY near DESC, id
  LIMIT 1
  RETURN id AS via
}
WITH q, score, via
ORDER BY score DESC, q.id
RETURN collect(q.id) AS items, collect(score) AS scores, collect(via) AS via
