// name: export_relations
// mode: read
// params: label, ids, type, target, keys, times, before
// returns: rows
// The relations of a type that leave the nodes `ids`: both ends' ids, their properties `keys`, then their times `times`
// as milliseconds since 1970. A relation that carries a time `at` counts only when it happened before `before`; the
// catalogue carries none and stands as it is.
CYPHER 25
UNWIND $ids AS id
MATCH (s:$($label) {id: id})-[r:$($type)]->(t:$($target))
WHERE r.at IS NULL OR r.at < $before
RETURN collect([id, t.id] + [key IN $keys | r[key]] + [key IN $times | r[key].epochMillis]) AS rows
