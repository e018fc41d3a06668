// name: export_ids
// mode: read
// params: label
// returns: ids
// The ids of every node of a label, in no order.
CYPHER 25
MATCH (n:$($label))
WHERE n.id IS NOT NULL
RETURN collect(n.id) AS ids
