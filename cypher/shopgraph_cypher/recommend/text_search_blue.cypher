// name: text_search_blue
// mode: read
// params: release, vector, limit, without, reach, categories, min_price, max_price
// returns: items, scores, via
// The products nearest to a query in the text embedding that a release serves from the blue slot. What may be shown, the bounds
// of price and the categories hold inside the index; it knows no OR, so each level of category has a search of its own, in
// which the price is looked at afterwards.
CYPHER 25
MATCH (:Release {id: $release, text_slot: 'blue'})
CALL () {
  WHEN size($categories) = 0 AND $min_price IS NULL AND $max_price IS NULL THEN {
    MATCH (q:Product)
    SEARCH q IN (VECTOR INDEX product_text_blue FOR $vector
      WHERE q.hidden = false AND q.stock > 0 AND q.retired_at > datetime()
      LIMIT $reach) SCORE AS score
    RETURN q, score
  }
  WHEN size($categories) = 0 THEN {
    MATCH (q:Product)
    SEARCH q IN (VECTOR INDEX product_text_blue FOR $vector
      WHERE q.hidden = false AND q.stock > 0 AND q.retired_at > datetime()
        AND q.price >= coalesce($min_price, -1e300) AND q.price <= coalesce($max_price, 1e300)
      LIMIT $reach) SCORE AS score
    RETURN q, score
  }
  ELSE {
    MATCH (q:Product)
    SEARCH q IN (VECTOR INDEX product_text_blue FOR $vector
      WHERE q.hidden = false AND q.stock > 0 AND q.retired_at > datetime() AND q.category_1 IN $categories
      LIMIT $reach) SCORE AS score
    WITH q, score
    WHERE ($min_price IS NULL OR q.price >= $min_price) AND ($max_price IS NULL OR q.price <= $max_price)
    RETURN q, score
    UNION
    MATCH (q:Product)
    SEARCH q IN (VECTOR INDEX product_text_blue FOR $vector
      WHERE q.hidden = false AND q.stock > 0 AND q.retired_at > datetime() AND q.category_2 IN $categories
      LIMIT $reach) SCORE AS score
    WITH q, score
    WHERE ($min_price IS NULL OR q.price >= $min_price) AND ($max_price IS NULL OR q.price <= $max_price)
    RETURN q, score
    UNION
    MATCH (q:Product)
    SEARCH q IN (VECTOR INDEX product_text_blue FOR $vector
      WHERE q.hidden = false AND q.stock > 0 AND q.retired_at > datetime() AND q.category_3 IN $categories
      LIMIT $reach) SCORE AS score
    WITH q, score
    WHERE ($min_price IS NULL OR q.price >= $min_price) AND ($max_price IS NULL OR q.price <= $max_price)
    RETURN q, score
  }
}
WITH q, score
ORDER BY score DESC, q.id
WHERE NOT q.id IN $without
LIMIT $limit
RETURN collect(q.id) AS items, collect(score) AS scores, [place IN range(1, count(q)) | null] AS via
