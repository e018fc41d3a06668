// name: newcomers_written
// mode: write
// params: release, slot, key, text_slot, text_key, products, users, counts
// returns: id, products, users
// Sets the vectors of what came after a release's snapshot, and notes the counts up to which it was looked for; nothing
// unless that release still serves, which is asked under a lock that the next publish's switch has to wait for.
CYPHER 25
MATCH (r:Release {id: $release})
SET r.asked = true
WITH r
WHERE r.active
MATCH (s:Slot {id: $slot})
OPTIONAL MATCH (t:Slot {id: $text_slot})
SET r.newcomers_counts = $counts,
    s.has_newcomers = coalesce(s.has_newcomers, false) OR size($products) > 0,
    t.has_newcomers = coalesce(t.has_newcomers, false) OR any(row IN $products WHERE row.text IS NOT NULL)
WITH r
CALL () {
  UNWIND $products AS row
  MATCH (n:Product {id: row.id})
  SET n += row.properties, n[$key] = toFloatList(row.vector)
  RETURN count(n) AS products
}
CALL () {
  UNWIND [row IN $products WHERE row.text IS NOT NULL] AS row
  MATCH (n:Product {id: row.id})
  SET n[$text_key] = toFloatList(row.text)
  RETURN count(n) AS texts
}
CALL () {
  UNWIND $users AS row
  MATCH (n:User {id: row.id})
  SET n += row.properties, n[$key] = toFloatList(row.vector)
  RETURN count(n) AS users
}
RETURN r.id AS id, products AS products, users AS users
