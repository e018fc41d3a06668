// name: run_progress
// mode: write
// params: id, at, step, done, total, message
// returns: status
// Notes how far a run has come; what the panel's progress bar reads.
CYPHER 25
MATCH (r:Run {id: $id})
SET r.updated_at = $at, r.step = $step, r.done = $done, r.total = $total, r.message = $message
RETURN r.status AS status
