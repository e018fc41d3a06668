// name: events_written
// mode: write
// params: rows, label, type, target, source, run
// returns: written, present, unknown
// Appends events of one type, rows of [user or session, node, line, at, properties]: who is new becomes a node, an event
// already there is left alone, one whose product or search term is not there is handed back by its line.
CYPHER 25
UNWIND $rows AS row
MERGE (s:$($label) {id: row[0]})
ON CREATE SET s.source = $source, s.run = $run
WITH row, s
OPTIONAL MATCH (n:$($target) {id: row[1]})
OPTIONAL MATCH ()-[old:$($type) {line_id: row[2]}]->()
WITH row, s, n, CASE WHEN old IS NOT NULL THEN 'present' WHEN n IS NULL THEN 'unknown' ELSE 'new' END AS state
FOREACH (_ IN CASE state WHEN 'new' THEN [1] ELSE [] END |
  CREATE (s)-[e:$($type) {line_id: row[2], at: datetime({epochMillis: row[3]}), source: $source, run: $run}]->(n)
  SET e += row[4]
)
RETURN sum(CASE state WHEN 'new' THEN 1 ELSE 0 END) AS written,
       sum(CASE state WHEN 'present' THEN 1 ELSE 0 END) AS present,
       collect(CASE state WHEN 'unknown' THEN row[2] END) AS unknown
