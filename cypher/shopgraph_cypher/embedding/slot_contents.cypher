// name: slot_contents
// mode: read
// params: -
// returns: slots
// What each slot holds: the version written whole into it, or null while one is being written.
CYPHER 25
MATCH (s:Slot)
RETURN collect({id: s.id, version: s.version}) AS slots
