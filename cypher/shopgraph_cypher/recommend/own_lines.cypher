// name: own_lines
// mode: read
// params: user, as_of
// returns: products, times_ms, quantities, amounts, discounts
// What the user bought before an instant, a line each; NaN where it does not state what was paid.
CYPHER 25
MATCH (u:User {id: $user})-[b:PURCHASED]->(p:Product)
WHERE b.at < $as_of
RETURN collect(p.id) AS products, collect(b.at.epochMillis) AS times_ms,
       collect(coalesce(b.quantity, 1)) AS quantities, collect(coalesce(b.amount, toFloat('NaN'))) AS amounts,
       collect(coalesce(b.discount, 0.0)) AS discounts
