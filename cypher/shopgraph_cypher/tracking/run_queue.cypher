// name: run_queue
// mode: write
// params: id, kind, at, details
// returns: id
// Notes a run that waits for a worker; does nothing when the run is there already.
CYPHER 25
MERGE (r:Run {id: $id})
ON CREATE SET r.kind = $kind, r.started_at = $at, r.status = 'queued', r.details = $details, r.step = '', r.done = 0,
    r.total = 0, r.message = '', r.updated_at = $at
RETURN r.id AS id
