// name: export_nodes
// mode: read
// params: label, ids, keys, times
// returns: columns
// The nodes `ids` of a label, one list a property: `keys`, then `times` as milliseconds since 1970; a null where a node
// has no such property.
CYPHER 25
UNWIND $ids AS id
MATCH (n:$($label) {id: id})
WITH collect(n) AS nodes
RETURN [key IN $keys | [n IN nodes | n[key]]] + [key IN $times | [n IN nodes | n[key].epochMillis]] AS columns
