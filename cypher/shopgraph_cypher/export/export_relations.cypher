// name: export_relations
// mode: read
// params: label, ids, type, target, keys, times, before
// returns: starts, ends, columns
// The relations of a type that leave the nodes `ids`, one list a column: `starts` numbers `ids` from 0, `ends` are ids,
// and `columns` their properties `keys` and then their times `times` as milliseconds since 1970. A relation that carries
// a time `at` counts only when it happened before `before`; the catalogue carries none and stands as it is.
CYPHER 25
UNWIND range(0, size($ids) - 1) AS position
MATCH (s:$($label) {id: $ids[position]})-[r:$($type)]->(t:$($target))
WHERE r.at IS NULL OR r.at < $before
WITH collect(position) AS starts, collect(t.id) AS ends, collect(r) AS relations
RETURN starts, ends,
       [key IN $keys | [r IN relations | r[key]]] + [key IN $times | [r IN relations | r[key].epochMillis]] AS columns
