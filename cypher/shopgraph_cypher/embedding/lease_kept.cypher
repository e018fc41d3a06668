// name: lease_kept
// mode: write
// params: id, token, seconds
// returns: token
// Renews the lease; answers nothing when another holder has taken it.
CYPHER 25
MATCH (lease:Lease {id: $id})
SET lease.asked = true
WITH lease
WHERE lease.token = $token
SET lease.expires_at = datetime.realtime() + duration({seconds: $seconds})
RETURN lease.token AS token
