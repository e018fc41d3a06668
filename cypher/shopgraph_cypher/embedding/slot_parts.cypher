// name: slot_parts
// mode: read
// params: key
// returns: parts
// The products that carry a slot's vector, counted by category and brand: the parts in which its index is counted.
CYPHER 25
MATCH (p:Product)
WHERE p[$key] IS NOT NULL AND p.category_2 IS NOT NULL AND p.brand_id IS NOT NULL
WITH p.category_2 AS category, p.brand_id AS brand, count(*) AS number
ORDER BY category, brand
RETURN collect([category, brand, number]) AS parts
