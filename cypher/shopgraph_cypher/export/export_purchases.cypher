// name: export_purchases
// mode: read
// params: ids, before
// returns: counts, products, times_ms, quantities, amounts, discounts, orders
// The purchases of the users `ids` before `before`, as one list a column and user: columns are read several times faster
// than rows, and purchases are most of a graph. A number that is missing is NaN; a missing order is named by its time.
CYPHER 25
UNWIND range(0, size($ids) - 1) AS position
MATCH (u:User {id: $ids[position]})
OPTIONAL MATCH (u)-[r:PURCHASED WHERE r.at < $before]->(p:Product)
WITH position, u,
     count(r) AS count,
     collect(p.id) AS products,
     collect(r.at.epochMillis) AS times_ms,
     collect(CASE WHEN r IS NOT NULL THEN coalesce(r.quantity, toFloat('NaN')) END) AS quantities,
     collect(CASE WHEN r IS NOT NULL THEN coalesce(r.amount, toFloat('NaN')) END) AS amounts,
     collect(CASE WHEN r IS NOT NULL THEN coalesce(r.discount, toFloat('NaN')) END) AS discounts,
     collect(coalesce(r.order_id, u.id + '@' + toString(r.at))) AS orders
ORDER BY position
RETURN collect(count) AS counts, collect(products) AS products, collect(times_ms) AS times_ms,
       collect(quantities) AS quantities, collect(amounts) AS amounts, collect(discounts) AS discounts,
       collect(orders) AS orders
