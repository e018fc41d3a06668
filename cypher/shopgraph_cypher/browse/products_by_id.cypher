// name: products_by_id
// mode: read
// params: category, skip, limit
// returns: products
// A page of the products on sale in the order of their ids, for a graph whose popularity is not derived yet.
// A null category means all.
CYPHER 25
MATCH (p:Product)
WHERE p.id >= ''
  AND ($category IS NULL OR p.category_1 = $category)
  AND NOT p.hidden
  AND p.retired_at >= datetime('9999-12-31T00:00:00Z')
WITH p ORDER BY p.id SKIP $skip LIMIT $limit
RETURN collect(p {
  .id, .title, .source, .price, .package_size, .category_1, .category_2, .brand_id, .popularity, .hidden, .retired_at
}) AS products
