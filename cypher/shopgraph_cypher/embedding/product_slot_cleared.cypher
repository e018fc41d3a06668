// name: product_slot_cleared
// mode: write
// params: rows, token, seconds
// returns: cleared
// Removes the slot properties (`empty` maps each to null) from each row's product; nothing unless the lease is held.
CYPHER 25
MATCH (lease:Lease {id: 'publish'})
SET lease.asked = true
WITH lease
WHERE lease.token = $token
SET lease.expires_at = datetime.realtime() + duration({seconds: $seconds})
WITH lease
UNWIND $rows AS row
MATCH (n:Product {id: row.id})
SET n += row.empty
RETURN count(n) AS cleared
