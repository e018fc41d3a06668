// name: rule_facts
// mode: read
// params: items
// returns: facts
// What rules ask of products that may be shown now: their brand, and their categories, the lowest first.
CYPHER 25
UNWIND $items AS item
MATCH (p:Product {id: item})
WHERE NOT p.hidden AND p.stock > 0 AND p.retired_at > datetime()
RETURN collect({id: p.id, brand: p.brand_id,
                categories: [c IN [p.category_3, p.category_2, p.category_1] WHERE c <> '']}) AS facts
