// name: load_rated
// mode: write
// params: rows, source, run
// returns: written, present, unknown
// Appends RATED of [user, product, line, at, rating, text] rows; an event already there is left alone, one whose user or
// product is not there is handed back as [line, start | end].
CYPHER 25
UNWIND $rows AS row
OPTIONAL MATCH (u:User {id: row[0]})
OPTIONAL MATCH (n:Product {id: row[1]})
OPTIONAL MATCH ()-[old:RATED {line_id: row[2]}]->()
WITH row, u, n,
     CASE WHEN old IS NOT NULL THEN 'present' WHEN u IS NULL THEN 'start' WHEN n IS NULL THEN 'end' ELSE 'new' END AS state
FOREACH (_ IN CASE state WHEN 'new' THEN [1] ELSE [] END |
  CREATE (u)-[:RATED {
    line_id: row[2], at: datetime({epochMillis: row[3]}), rating: row[4], text: row[5], source: $source, run: $run
  }]->(n)
)
RETURN sum(CASE state WHEN 'new' THEN 1 ELSE 0 END) AS written,
       sum(CASE state WHEN 'present' THEN 1 ELSE 0 END) AS present,
       collect(CASE WHEN state IN ['start', 'end'] THEN [row[2], state] END) AS unknown
