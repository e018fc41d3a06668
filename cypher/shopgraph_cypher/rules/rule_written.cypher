// name: rule_written
// mode: write
// params: id, kind, label, target, amount, scenario, starts, ends, by, at
// returns: id
// Puts a rule in force, tied to what it is about; nothing where that is not in the graph.
CYPHER 25
OPTIONAL MATCH (t:$($label) {id: $target})
WITH t
WHERE t IS NOT NULL OR $target = ''
CREATE (r:Rule {id: $id, kind: $kind, label: $label, target: $target, amount: $amount, scenario: $scenario,
                starts: $starts, ends: $ends, made_by: $by, made_at: $at})
FOREACH (_ IN CASE WHEN t IS NULL THEN [] ELSE [1] END | CREATE (r)-[:ABOUT]->(t))
RETURN r.id AS id
