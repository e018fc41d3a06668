// name: doubts_listed
// mode: read
// params: limit
// returns: doubts
// Doubted relations, open ones first, the most doubted first: what people call both ends, and whether it is still there.
CYPHER 25
MATCH (d:Doubt)
WITH d
ORDER BY d.verdict IS NULL DESC, d.times DESC, d.last_at DESC, d.id
LIMIT $limit
OPTIONAL MATCH (a:$(d.start_label) {id: d.start})
OPTIONAL MATCH (b:$(d.end_label) {id: d.end})
RETURN collect(d {.*, verdict: d.verdict, start_name: coalesce(a.title, a.name, a.value, d.start),
                  end_name: coalesce(b.title, b.name, b.value, d.end),
                  present: EXISTS { (a)-[r]->(b) WHERE type(r) = d.relation }}) AS doubts
