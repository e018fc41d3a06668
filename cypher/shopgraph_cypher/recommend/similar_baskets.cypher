// name: similar_baskets
// mode: read
// params: product, limit
// returns: items, scores, via
// The products most bought together with one product.
CYPHER 25
MATCH (:Product {id: $product})-[w:BOUGHT_WITH]->(q:Product)
WHERE NOT q.hidden AND q.stock > 0 AND q.retired_at > datetime()
WITH q, w
ORDER BY w.weight DESC, q.id
LIMIT $limit
RETURN collect(q.id) AS items, collect(w.weight) AS scores, [q IN collect(q) | $product] AS via
