// name: lease_seen
// mode: read
// params: id
// returns: holder, token, expires_at
// Who holds the lease and until when, unless it is renewed.
CYPHER 25
MATCH (lease:Lease {id: $id})
RETURN lease.holder AS holder, lease.token AS token, toString(lease.expires_at) AS expires_at
