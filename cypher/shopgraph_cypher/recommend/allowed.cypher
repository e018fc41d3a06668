// name: allowed
// mode: read
// params: items, categories, min_price, max_price, unbought_before, denied_products, denied_brands, denied_categories
// returns: items
// Those of some products that may be shown now: on sale, in stock, not hidden, in one of the categories (any, where none is
// given), priced within the bounds and, where a moment is given, bought by nobody before it; a product without a price is
// within no bound. None that is denied, nor any of a brand or category that is.
CYPHER 25
UNWIND $items AS item
MATCH (p:Product {id: item})
WHERE NOT p.hidden AND p.stock > 0 AND p.retired_at > datetime()
  AND (size($categories) = 0 OR p.category_1 IN $categories OR p.category_2 IN $categories OR p.category_3 IN $categories)
  AND ($min_price IS NULL OR p.price >= $min_price) AND ($max_price IS NULL OR p.price <= $max_price)
  AND ($unbought_before IS NULL OR NOT EXISTS { (p)<-[b:PURCHASED]-() WHERE b.at < $unbought_before })
  AND NOT p.id IN $denied_products AND NOT coalesce(p.brand_id, '') IN $denied_brands
  AND NONE(category IN [p.category_1, p.category_2, p.category_3] WHERE category IN $denied_categories)
RETURN collect(p.id) AS items
