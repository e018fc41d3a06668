// name: products_in_category
// mode: read
// params: category, skip, limit
// returns: products
// A page of the products on sale in one top category: those with the most buyers lately first, walked in the order of an
// index, then, in the order of their ids, those without any.
CYPHER 25
CALL () {
  MATCH (p:Product)
  WHERE p.category_1 = $category
    AND p.popularity >= 0
    AND NOT p.hidden
    AND p.retired_at >= datetime('9999-12-31T00:00:00Z')
  RETURN p ORDER BY p.category_1, p.popularity DESC
  UNION ALL
  MATCH (p:Product)
  WHERE p.category_1 = $category
    AND p.popularity IS NULL
    AND NOT p.hidden
    AND p.retired_at >= datetime('9999-12-31T00:00:00Z')
  RETURN p ORDER BY p.id
}
WITH p SKIP $skip LIMIT $limit
RETURN collect(p {
  .id, .title, .source, .price, .package_size, .category_1, .category_2, .brand_id, .popularity, .hidden, .retired_at
}) AS products
