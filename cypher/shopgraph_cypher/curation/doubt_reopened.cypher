// name: doubt_reopened
// mode: write
// params: id, by, at
// returns: id
// Takes a verdict back: the doubt is open again.
CYPHER 25
MATCH (d:Doubt {id: $id})
WHERE d.verdict IS NOT NULL
SET d.verdict = null, d.judged_by = null, d.judged_at = null, d.reopened_by = $by, d.reopened_at = $at
RETURN d.id AS id
