// name: derivation_finished
// mode: write
// params: id, as_of, newest_event_at, snapshot, count
// returns: id
// Notes that a derivation is whole: as of which day, from which snapshot, and how many values it keeps.
CYPHER 25
MATCH (d:Derivation {id: $id})
SET d.complete = true, d.as_of = $as_of, d.newest_event_at = $newest_event_at, d.snapshot = $snapshot, d.count = $count
RETURN d.id AS id
