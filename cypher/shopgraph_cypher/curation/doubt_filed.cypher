// name: doubt_filed
// mode: write
// params: id, relation, start_label, start, end_label, end, by, text, at
// returns: times
// Files a relation that is in the graph for a person to judge, or counts one more doubt about it and opens it again where
// it was judged right; one judged wrong stays out of reasons whatever is said of it.
CYPHER 25
MATCH (a:$($start_label) {id: $start})-[:$($relation)]->(b:$($end_label) {id: $end})
WITH DISTINCT a, b
MERGE (d:Doubt {id: $id})
ON CREATE SET d.relation = $relation, d.start_label = $start_label, d.start = $start, d.end_label = $end_label,
              d.end = $end, d.times = 0, d.filed_at = $at
SET d.times = d.times + 1, d.last_at = $at, d.last_by = $by, d.text = $text
FOREACH (_ IN CASE d.verdict WHEN 'right' THEN [1] ELSE [] END |
  SET d.verdict = null, d.judged_by = null, d.judged_at = null
)
RETURN d.times AS times
