// name: release_serving
// mode: read
// params: -
// returns: id, created_at, families
// The release that serves, with each family's version, slot and the knowledge it was trained on.
CYPHER 25
MATCH (r:Release {active: true})
RETURN r.id AS id, r.created_at AS created_at,
       COLLECT { MATCH (r)-[n:NAMES]->(v:ModelVersion)
                 RETURN {family: n.family, slot: n.slot, version: v.id, snapshot: v.snapshot, before: v.before} } AS families
