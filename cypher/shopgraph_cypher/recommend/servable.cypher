// name: servable
// mode: read
// params: items
// returns: items
// Those of some products that may be shown now: on sale, in stock and not hidden.
CYPHER 25
UNWIND $items AS item
MATCH (p:Product {id: item})
WHERE NOT p.hidden AND p.stock > 0 AND p.retired_at > datetime()
RETURN collect(p.id) AS items
