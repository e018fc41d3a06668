// name: index_dropped
// mode: schema
// params: name
// returns: -
// Drops an index if it is there: a slot is written without its index, which is faster, and indexed afterwards.
CYPHER 25
DROP INDEX $name IF EXISTS
