// name: experiment_resumed
// mode: write
// params: id, said
// returns: id
// Takes the stop of an experiment back, where nothing else runs at its place.
CYPHER 25
MATCH (e:Experiment {id: $id})
WHERE e.running IS NULL AND NOT EXISTS { (other:Experiment) WHERE other.running = e.scenario }
SET e.running = e.scenario, e.history = e.history + $said
REMOVE e.ended_at, e.ended_by, e.report
RETURN e.id AS id
