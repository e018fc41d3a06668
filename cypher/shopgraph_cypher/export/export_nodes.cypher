// name: export_nodes
// mode: read
// params: label, ids, keys, times
// returns: rows
// The nodes `ids` of a label, one list a node: its properties `keys`, then its times `times` as milliseconds since 1970;
// a null where a node has no such property.
CYPHER 25
UNWIND $ids AS id
MATCH (n:$($label) {id: id})
RETURN collect([key IN $keys | n[key]] + [key IN $times | n[key].epochMillis]) AS rows
