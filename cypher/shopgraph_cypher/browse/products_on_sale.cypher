// name: products_on_sale
// mode: read
// params: skip, limit
// returns: products
// A page of the products on sale: those with the most buyers lately first, then, in the order of their ids, those without
// any. Both parts are walked in the order of an index, no further than the page needs.
CYPHER 25
CALL () {
  MATCH (p:Product)
  WHERE p.popularity >= 0
    AND NOT p.hidden
    AND p.retired_at >= datetime('9999-12-31T00:00:00Z')
  RETURN p ORDER BY p.popularity DESC
  UNION ALL
  MATCH (p:Product)
  WHERE p.id >= ''
    AND p.popularity IS NULL
    AND NOT p.hidden
    AND p.retired_at >= datetime('9999-12-31T00:00:00Z')
  RETURN p ORDER BY p.id
}
WITH p SKIP $skip LIMIT $limit
RETURN collect(p {
  .id, .title, .source, .price, .package_size, .category_1, .category_2, .brand_id, .popularity, .hidden, .retired_at
}) AS products
