// name: load_purchased
// mode: write
// params: rows, source, run
// returns: written, present, unknown
// Appends order lines of [user, at, order, lines] rows; a line already there is left alone, one whose user or product is
// not there is handed back as [line, start | end].
CYPHER 25
UNWIND $rows AS row
OPTIONAL MATCH (u:User {id: row[0]})
WITH row, u, datetime({epochMillis: row[1]}) AS at
UNWIND row[3] AS line
OPTIONAL MATCH (p:Product {id: line[1]})
OPTIONAL MATCH ()-[old:PURCHASED {line_id: line[0]}]->()
WITH row, at, line, u, p,
     CASE WHEN old IS NOT NULL THEN 'present' WHEN u IS NULL THEN 'start' WHEN p IS NULL THEN 'end' ELSE 'new' END AS state
FOREACH (_ IN CASE state WHEN 'new' THEN [1] ELSE [] END |
  CREATE (u)-[:PURCHASED {
    line_id: line[0], at: at, quantity: line[2], amount: line[3], discount: line[4], order_id: row[2],
    source: $source, run: $run
  }]->(p)
)
RETURN sum(CASE state WHEN 'new' THEN 1 ELSE 0 END) AS written,
       sum(CASE state WHEN 'present' THEN 1 ELSE 0 END) AS present,
       collect(CASE WHEN state IN ['start', 'end'] THEN [line[0], state] END) AS unknown
