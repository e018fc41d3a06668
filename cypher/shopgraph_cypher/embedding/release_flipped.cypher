// name: release_flipped
// mode: write
// params: id, at, restores, slots, families, token, seconds
// returns: id, named
// Makes a new release the one that serves, in the transaction that checks the publisher still holds the lease.
CYPHER 25
MATCH (lease:Lease {id: 'publish'})
SET lease.asked = true
WITH lease
WHERE lease.token = $token
SET lease.expires_at = datetime.realtime() + duration({seconds: $seconds})
CREATE (r:Release {id: $id, active: true, created_at: $at, restores: $restores})
SET r += $slots
WITH r
CALL (r) {
  MATCH (old:Release {active: true})
  WHERE old <> r
  SET old.active = false
}
CALL (r) {
  UNWIND $families AS family
  MERGE (v:ModelVersion {id: family.version})
  SET v += family.properties
  CREATE (r)-[:NAMES {family: family.family, slot: family.slot}]->(v)
}
WITH DISTINCT r
RETURN r.id AS id, COUNT { (r)-[:NAMES]->(:ModelVersion) } AS named
