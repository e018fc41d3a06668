// name: node_properties
// mode: read
// params: label, id, names
// returns: properties
// The named properties of one node that are set, as name and value; learned vectors stay behind because they are not named.
CYPHER 25
MATCH (n:$($label) {id: $id})
RETURN [name IN $names WHERE n[name] IS NOT NULL | [name, n[name]]] AS properties
