// name: experiment_begun
// mode: write
// params: id, name, scenario, kind, variants, by, at, said
// returns: id, name
// Starts an experiment at a place; where one runs there, that one is handed back and nothing is changed.
CYPHER 25
MERGE (e:Experiment {running: $scenario})
ON CREATE SET e.id = $id, e.name = $name, e.scenario = $scenario, e.kind = $kind, e.variants = $variants,
              e.begun_at = $at, e.begun_by = $by, e.history = [$said]
RETURN e.id AS id, e.name AS name
