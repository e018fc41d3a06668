// name: derivation_begun
// mode: write
// params: id, newest_event_at, run
// returns: id
// Notes, before anything is written, the newest event that the derived values may carry from now on.
CYPHER 25
MERGE (d:Derivation {id: $id})
SET d.complete = false, d.run = $run, d.source = 'derivation',
    d.newest_event_at = CASE WHEN d.newest_event_at > $newest_event_at THEN d.newest_event_at ELSE $newest_event_at END
RETURN d.id AS id
