// name: doubt_judged
// mode: write
// params: id, verdict, by, at
// returns: id
// Judges an open doubt.
CYPHER 25
MATCH (d:Doubt {id: $id})
WHERE d.verdict IS NULL
SET d.verdict = $verdict, d.judged_by = $by, d.judged_at = $at
RETURN d.id AS id
