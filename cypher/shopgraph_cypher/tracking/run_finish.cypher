// name: run_finish
// mode: write
// params: id, at, status, summary, error
// returns: id
// Closes a run as succeeded, failed or cancelled, with its summary (JSON text) or its one-line error. A run that is closed
// stays as it is: its own process and the one that looks after runs may both tell its end.
CYPHER 25
MATCH (r:Run {id: $id})
WHERE r.finished_at IS NULL
SET r.status = $status, r.finished_at = $at, r.updated_at = $at, r.summary = $summary, r.error = $error
RETURN r.id AS id
