// name: variants
// mode: read
// params: items
// returns: items, groups
// Of some products those that have variants, each with what all its variants share: what it is a variant of, or itself.
CYPHER 25
UNWIND $items AS item
MATCH (p:Product {id: item})
WITH p, CASE WHEN p.variant_of > '' THEN p.variant_of ELSE p.id END AS shared
WHERE p.variant_of > '' OR EXISTS { MATCH (v:Product) WHERE v.variant_of = p.id }
RETURN collect(p.id) AS items, collect(shared) AS groups
