// name: serving_state
// mode: read
// params: user, as_of
// returns: release, slots, versions, known_until, known, active
// What a recommendation stands on: the release with its slots and versions by family, the newest events that derived
// values and vectors carry, and whether the user is known and has done anything before then.
CYPHER 25
OPTIONAL MATCH (r:Release {active: true})
OPTIONAL MATCH (u:User {id: $user})
RETURN r.id AS release,
       COLLECT { MATCH (r)-[n:NAMES]->(:ModelVersion) RETURN [n.family, n.slot] } AS slots,
       COLLECT { MATCH (r)-[n:NAMES]->(v:ModelVersion) RETURN [n.family, v.id] } AS versions,
       COLLECT { MATCH (d:Derivation) RETURN d.newest_event_at AS at
                 UNION
                 MATCH (r)-[:NAMES]->(v:ModelVersion) RETURN v.newest_event_at AS at }
         + [CASE r.graph_slot WHEN 'blue' THEN u.graph_blue_until WHEN 'green' THEN u.graph_green_until END] AS known_until,
       u IS NOT NULL AS known,
       EXISTS { (u)-[b:PURCHASED|VIEWED]->(:Product) WHERE b.at < $as_of } AS active
