// name: slot_marked
// mode: write
// params: id, version, token, seconds
// returns: id
// Notes that a slot holds a version whole, or (null) that it is being written; only for the holder of the lease.
CYPHER 25
MATCH (lease:Lease {id: 'publish'})
SET lease.asked = true
WITH lease
WHERE lease.token = $token
SET lease.expires_at = datetime.realtime() + duration({seconds: $seconds})
MERGE (s:Slot {id: $id})
SET s.version = $version, s.has_newcomers = false
RETURN s.id AS id
