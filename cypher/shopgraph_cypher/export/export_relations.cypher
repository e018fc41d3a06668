// name: export_relations
// mode: read
// params: label, ids, type, target, keys, times, before
// returns: starts, ends, rows
// The relations of a type that leave the nodes `ids`, one list a column: `starts` numbers `ids` from 0, `ends` are ids,
// and `rows` their properties `keys` and then their times `times` as milliseconds since 1970, empty where none is asked
// for. A relation that carries a time `at` counts only when it happened before `before`; the catalogue carries none and
// stands as it is.
CYPHER 25
UNWIND range(0, size($ids) - 1) AS position
MATCH (s:$($label) {id: $ids[position]})-[r:$($type)]->(t:$($target))
WHERE r.at IS NULL OR r.at < $before
RETURN collect(position) AS starts,
       collect(t.id) AS ends,
       collect(CASE WHEN size($keys) + size($times) > 0
               THEN [key IN $keys | r[key]] + [key IN $times | r[key].epochMillis] END) AS rows
