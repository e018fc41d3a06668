// name: lease_taken
// mode: write
// params: id, holder, seconds
// returns: token
// Takes the lease if nobody holds it or its time is over; the token only grows, so a late writer is told from the holder.
CYPHER 25
MERGE (lease:Lease {id: $id})
SET lease.asked = true
WITH lease
WHERE lease.expires_at IS NULL OR lease.expires_at < datetime.realtime()
SET lease.token = coalesce(lease.token, 0) + 1, lease.holder = $holder,
    lease.expires_at = datetime.realtime() + duration({seconds: $seconds})
RETURN lease.token AS token
