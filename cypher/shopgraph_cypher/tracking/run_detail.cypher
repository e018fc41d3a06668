// name: run_detail
// mode: read
// params: id
// returns: id, kind, status, step, done, total, message, details, summary, error, started_at, updated_at, finished_at
// One run by its id.
CYPHER 25
MATCH (r:Run {id: $id})
RETURN r.id AS id, r.kind AS kind, r.status AS status, r.step AS step, r.done AS done, r.total AS total,
       r.message AS message, r.details AS details, r.summary AS summary, r.error AS error,
       r.started_at AS started_at, r.updated_at AS updated_at, r.finished_at AS finished_at
