// name: releases_listed
// mode: read
// params: -
// returns: id, active, created_at, restores, families
// Every release, newest first.
CYPHER 25
MATCH (r:Release)
RETURN r.id AS id, r.active AS active, r.created_at AS created_at, r.restores AS restores,
       COLLECT { MATCH (r)-[n:NAMES]->(v:ModelVersion)
                 RETURN {family: n.family, slot: n.slot, version: v.id, snapshot: v.snapshot, before: v.before} } AS families
ORDER BY r.created_at DESC, r.id DESC
