// name: products_retired
// mode: read
// params: category, skip, limit
// returns: products
// A page of the products that their feed no longer names, the latest gone first. A null category means all.
CYPHER 25
MATCH (p:Product)
WHERE p.retired_at < datetime('9999-12-31T00:00:00Z')
  AND ($category IS NULL OR p.category_1 = $category)
WITH p ORDER BY p.retired_at DESC SKIP $skip LIMIT $limit
RETURN collect(p {
  .id, .title, .source, .price, .package_size, .category_1, .category_2, .brand_id, .popularity, .hidden, .retired_at
}) AS products
