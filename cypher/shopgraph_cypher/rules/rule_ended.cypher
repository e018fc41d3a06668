// name: rule_ended
// mode: write
// params: id, by, at
// returns: id
// Takes a rule out of force.
CYPHER 25
MATCH (r:Rule {id: $id})
WHERE r.ended_at IS NULL
SET r.ended_at = $at, r.ended_by = $by
RETURN r.id AS id
