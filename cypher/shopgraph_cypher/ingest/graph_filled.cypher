// name: graph_filled
// mode: read
// params: -
// returns: filled
// Whether the graph holds anything but its own bookkeeping.
CYPHER 25
RETURN EXISTS { (n) WHERE NOT n:__Neo4jMigration AND NOT n:Run AND NOT n:Lease AND NOT n:PseudonymKey } AS filled
