// name: export_purchases
// mode: read
// params: ids, before
// returns: starts, products, times_ms, quantities, amounts, discounts, orders
// The purchases of the users `ids` before `before`, one list a column, `starts` numbering `ids` from 0: columns are read
// several times faster than rows, and purchases are most of a graph. A number that is missing is NaN; a missing order is
// named by its user and time.
CYPHER 25
UNWIND range(0, size($ids) - 1) AS position
MATCH (u:User {id: $ids[position]})-[r:PURCHASED WHERE r.at < $before]->(p:Product)
RETURN collect(position) AS starts,
       collect(p.id) AS products,
       collect(r.at.epochMillis) AS times_ms,
       collect(coalesce(r.quantity, toFloat('NaN'))) AS quantities,
       collect(coalesce(r.amount, toFloat('NaN'))) AS amounts,
       collect(coalesce(r.discount, toFloat('NaN'))) AS discounts,
       collect(coalesce(r.order_id, u.id + '@' + toString(r.at))) AS orders
