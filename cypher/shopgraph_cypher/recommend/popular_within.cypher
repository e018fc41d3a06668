// name: popular_within
// mode: read
// params: limit, without, categories, min_price, max_price
// returns: items, scores, via
// What the most people bought lately of some categories (any, where none is given) within bounds of price.
CYPHER 25
MATCH (q:Product)
WHERE q.popularity > 0
WITH q
ORDER BY q.popularity DESC
WHERE NOT q.hidden AND q.stock > 0 AND q.retired_at > datetime() AND NOT q.id IN $without
  AND (size($categories) = 0 OR q.category_1 IN $categories OR q.category_2 IN $categories OR q.category_3 IN $categories)
  AND ($min_price IS NULL OR q.price >= $min_price) AND ($max_price IS NULL OR q.price <= $max_price)
LIMIT $limit
RETURN collect(q.id) AS items, collect(q.popularity) AS scores, collect(q.id) AS via
