// name: new_arrivals
// mode: read
// params: limit, without, categories, min_price, max_price, unbought_before
// returns: items, scores, via
// What nobody had bought before a moment, of the 20 lowest categories that sold best lately: of each the 50
// that came last at most, the first of all categories before the second of any. Only of some categories (any, where none is given) and
// within bounds of price. `via` is the category.
CYPHER 25
MATCH (p:Product)
WHERE p.popularity > 0
WITH p
ORDER BY p.popularity DESC
WHERE size($categories) = 0 OR p.category_1 IN $categories OR p.category_2 IN $categories OR p.category_3 IN $categories
LIMIT 500
MATCH (p)-[:IN_CATEGORY]->(c:Category)
WITH c, sum(p.popularity) AS sold
ORDER BY sold DESC, c.id
LIMIT 20
CALL (c) {
  MATCH (c)<-[:IN_CATEGORY]-(q:Product)
  WHERE NOT q.hidden AND q.stock > 0 AND q.retired_at > datetime() AND NOT q.id IN $without
    AND ($min_price IS NULL OR q.price >= $min_price) AND ($max_price IS NULL OR q.price <= $max_price)
    AND NOT EXISTS { (q)<-[b:PURCHASED]-() WHERE b.at < $unbought_before }
  WITH q
  ORDER BY q.first_seen DESC, q.id
  LIMIT 50
  RETURN collect(q) AS new
}
UNWIND range(0, size(new) - 1) AS place
WITH new[place] AS q, toFloat(sold) / (1 + place) AS score, c
ORDER BY score DESC, q.id
WITH q, max(score) AS score, head(collect(c.id)) AS via
ORDER BY score DESC, q.id
LIMIT $limit
RETURN collect(q.id) AS items, collect(score) AS scores, collect(via) AS via
