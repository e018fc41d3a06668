// name: product_slot_written
// mode: write
// params: rows, token, seconds
// returns: written
// Sets the slot properties of each row's product: a vector and lists of near products; nothing unless the lease is held.
CYPHER 25
MATCH (lease:Lease {id: 'publish'})
SET lease.asked = true
WITH lease
WHERE lease.token = $token
SET lease.expires_at = datetime.realtime() + duration({seconds: $seconds})
WITH lease
UNWIND $rows AS row
MATCH (n:Product {id: row.id})
SET n += row.lists, n[row.key] = toFloatList(row.vector)
RETURN count(n) AS written
