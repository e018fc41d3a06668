// name: lease_left
// mode: write
// params: id, token
// returns: token
// Gives the lease back at once, if it is still held under this token.
CYPHER 25
MATCH (lease:Lease {id: $id})
SET lease.asked = true
WITH lease
WHERE lease.token = $token
SET lease.expires_at = null, lease.holder = null
RETURN lease.token AS token
