// name: products_search
// mode: read
// params: text, id, category, state, skip, limit
// returns: products
// A page of products whose title or description matches a Lucene expression, best match first; the product whose id was typed
// comes before all. `state` is on_sale, hidden or retired; a null category means all.
CYPHER 25
CALL () {
  MATCH (p:Product {id: $id})
  RETURN p, 1e9 AS score
  UNION ALL
  CALL db.index.fulltext.queryNodes('product_text', $text, {limit: 400}) YIELD node, score
  WHERE node.id <> $id
  RETURN node AS p, score
}
WITH p, score
WHERE ($category IS NULL OR p.category_1 = $category)
  AND CASE $state
        WHEN 'hidden' THEN p.hidden
        WHEN 'retired' THEN p.retired_at < datetime('9999-12-31T00:00:00Z')
        ELSE NOT p.hidden AND p.retired_at >= datetime('9999-12-31T00:00:00Z')
      END
WITH p, score ORDER BY score DESC, coalesce(p.popularity, 0) DESC, p.id SKIP $skip LIMIT $limit
RETURN collect(p {
  .id, .title, .source, .price, .package_size, .category_1, .category_2, .brand_id, .popularity, .hidden, .retired_at
}) AS products
