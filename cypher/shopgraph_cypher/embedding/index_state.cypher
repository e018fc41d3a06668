// name: index_state
// mode: read
// params: name
// returns: state, percent
// How far an index is populated; ONLINE when it may be used.
CYPHER 25
SHOW INDEXES YIELD name, state, populationPercent
WHERE name = $name
RETURN state AS state, populationPercent AS percent
