// name: export_catalogue
// mode: read
// params: label, ids, types
// returns: types, starts, ends
// The relations of the types `types` that leave the nodes `ids`: of each type that is found, one list of `starts`, which
// number `ids` from 0, and one of `ends`, which are ids. All types are read in one walk: finding the nodes costs as much
// as following one type of relation.
CYPHER 25
UNWIND range(0, size($ids) - 1) AS position
MATCH (s:$($label) {id: $ids[position]})-[r:$any($types)]->(t)
WITH type(r) AS type, collect(position) AS starts, collect(t.id) AS ends
RETURN collect(type) AS types, collect(starts) AS starts, collect(ends) AS ends
