// name: experiments_listed
// mode: read
// params: id
// returns: experiments
// All experiments, or the one of an id, those that run first, then the latest first.
CYPHER 25
OPTIONAL MATCH (e:Experiment)
WHERE $id IN ['', e.id]
WITH e
ORDER BY e.running IS NULL, e.begun_at DESC, e.id
RETURN collect(e {.*, running: e.running IS NOT NULL}) AS experiments
