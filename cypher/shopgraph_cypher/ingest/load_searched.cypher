// name: load_searched
// mode: write
// params: rows, source, run
// returns: written, present, unknown
// Appends SEARCHED of [user, term, line, at] rows; an event already there is left alone, one whose user or
// search term is not there is handed back as [line, start | end].
CYPHER 25
UNWIND $rows AS row
OPTIONAL MATCH (u:User {id: row[0]})
OPTIONAL MATCH (n:SearchTerm {id: row[1]})
OPTIONAL MATCH ()-[old:SEARCHED {line_id: row[2]}]->()
WITH row, u, n,
     CASE WHEN old IS NOT NULL THEN 'present' WHEN u IS NULL THEN 'start' WHEN n IS NULL THEN 'end' ELSE 'new' END AS state
FOREACH (_ IN CASE state WHEN 'new' THEN [1] ELSE [] END |
  CREATE (u)-[:SEARCHED {
    line_id: row[2], at: datetime({epochMillis: row[3]}), source: $source, run: $run
  }]->(n)
)
RETURN sum(CASE state WHEN 'new' THEN 1 ELSE 0 END) AS written,
       sum(CASE state WHEN 'present' THEN 1 ELSE 0 END) AS present,
       collect(CASE WHEN state IN ['start', 'end'] THEN [row[2], state] END) AS unknown
