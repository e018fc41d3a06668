// name: run_begin
// mode: write
// params: id, kind, at, details
// returns: id
// Records that a run has begun; a run begun again (a task delivered twice) keeps its first start.
CYPHER 25
MERGE (r:Run {id: $id})
ON CREATE SET r.kind = $kind, r.started_at = $at
SET r.status = 'running', r.details = $details, r.step = '', r.done = 0, r.total = 0, r.message = '',
    r.updated_at = $at, r.finished_at = null, r.error = null
RETURN r.id AS id
