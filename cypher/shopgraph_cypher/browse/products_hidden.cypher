// name: products_hidden
// mode: read
// params: category, skip, limit
// returns: products
// A page of the products that a curator took out of every answer, in the order of their ids. A null category means all.
CYPHER 25
MATCH (p:Product)
WHERE p.hidden = true
  AND ($category IS NULL OR p.category_1 = $category)
WITH p ORDER BY p.id SKIP $skip LIMIT $limit
RETURN collect(p {
  .id, .title, .source, .price, .package_size, .category_1, .category_2, .brand_id, .popularity, .hidden, .retired_at
}) AS products
