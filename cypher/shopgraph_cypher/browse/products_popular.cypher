// name: products_popular
// mode: read
// params: category, skip, limit
// returns: products
// A page of the products on sale, those with the most buyers lately first, walked in the order of the index and so never sorted.
// A null category means all.
CYPHER 25
MATCH (p:Product)
WHERE p.popularity >= 0
  AND ($category IS NULL OR p.category_1 = $category)
  AND NOT p.hidden
  AND p.retired_at >= datetime('9999-12-31T00:00:00Z')
WITH p ORDER BY p.popularity DESC SKIP $skip LIMIT $limit
RETURN collect(p {
  .id, .title, .source, .price, .package_size, .category_1, .category_2, .brand_id, .popularity, .hidden, .retired_at
}) AS products
