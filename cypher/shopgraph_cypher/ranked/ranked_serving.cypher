// name: ranked_serving
// mode: read
// params: -
// returns: release, slot, as_of
// The release that serves, and which slot's lists it uses since when, if any.
CYPHER 25
MATCH (r:Release {active: true})
RETURN r.id AS release, r.ranked_slot AS slot, r.ranked_as_of AS as_of
