// name: experiment_stopped
// mode: write
// params: id, by, at, said, report
// returns: id
// Stops an experiment and keeps what it found until then.
CYPHER 25
MATCH (e:Experiment {id: $id})
WHERE e.running IS NOT NULL
SET e.ended_at = $at, e.ended_by = $by, e.report = $report, e.history = e.history + $said
REMOVE e.running
RETURN e.id AS id
