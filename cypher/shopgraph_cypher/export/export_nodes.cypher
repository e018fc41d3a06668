// name: export_nodes
// mode: read
// params: label, ids, keys
// returns: rows
// The properties `keys` of the nodes `ids` of a label, one list a node, a null where a node has no such property.
CYPHER 25
UNWIND $ids AS id
MATCH (n:$($label) {id: id})
RETURN collect([key IN $keys | n[key]]) AS rows
