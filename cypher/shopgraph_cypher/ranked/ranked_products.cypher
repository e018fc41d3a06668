// name: ranked_products
// mode: read
// params: limit
// returns: ids
// The products whose like is ranked ahead: those bought by most people lately, of those that may be shown.
CYPHER 25
MATCH (p:Product)
WHERE p.popularity > 0 AND NOT p.hidden AND p.retired_at > datetime()
WITH p
ORDER BY p.popularity DESC, p.id
LIMIT $limit
RETURN collect(p.id) AS ids
