// name: graph_like_these_blue
// mode: read
// params: release, like, unlike, unlike_share, limit, without, reach, categories, min_price, max_price
// returns: items, scores, via
// The products nearest to the mean of those that are liked, less a share of the mean of those that are not, in the graph
// embedding that a release serves from the blue slot; `via` is the liked one that it is nearest to. What
// may be shown and the filters hold inside the index, see `text_search_blue`.
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
CALL (vector) {
  WHEN size($categories) = 0 AND $min_price IS NULL AND $max_price IS NULL THEN {
    MATCH (q:Product)
    SEARCH q IN (VECTOR INDEX product_graph_blue FOR vector
      WHERE q.hidden = false AND q.stock > 0 AND q.retired_at > datetime()
      LIMIT $reach) SCORE AS score
    RETURN q, score
  }
  WHEN size($categories) = 0 THEN {
    MATCH (q:Product)
    SEARCH q IN (VECTOR INDEX product_graph_blue FOR vector
      WHERE q.hidden = false AND q.stock > 0 AND q.retired_at > datetime()
        AND q.price >= coalesce($min_price, -1e300) AND q.price <= coalesce($max_price, 1e300)
      LIMIT $reach) SCORE AS score
    RETURN q, score
  }
  ELSE {
    MATCH (q:Product)
    SEARCH q IN (VECTOR INDEX product_graph_blue FOR vector
      WHERE q.hidden = false AND q.stock > 0 AND q.retired_at > datetime() AND q.category_1 IN $categories
      LIMIT $reach) SCORE AS score
    WITH q, score
    WHERE ($min_price IS NULL OR q.price >= $min_price) AND ($max_price IS NULL OR q.price <= $max_price)
    RETURN q, score
    UNION
    MATCH (q:Product)
    SEARCH q IN (VECTOR INDEX product_graph_blue FOR vector
      WHERE q.hidden = false AND q.stock > 0 AND q.retired_at > datetime() AND q.category_2 IN $categories
      LIMIT $reach) SCORE AS score
    WITH q, score
    WHERE ($min_price IS NULL OR q.price >= $min_price) AND ($max_price IS NULL OR q.price <= $max_price)
    RETURN q, score
    UNION
    MATCH (q:Product)
    SEARCH q IN (VECTOR INDEX product_graph_blue FOR vector
      WHERE q.hidden = false AND q.stock > 0 AND q.retired_at > datetime() AND q.category_3 IN $categories
      LIMIT $reach) SCORE AS score
    WITH q, score
    WHERE ($min_price IS NULL OR q.price >= $min_price) AND ($max_price IS NULL OR q.price <= $max_price)
    RETURN q, score
  }
}
WITH q, score, liked
ORDER BY score DESC, q.id
WHERE NOT q.id IN $without
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
