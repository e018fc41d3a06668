// name: popular_in_segment
// mode: read
// params: user, as_of, limit, without
// returns: items, scores, via
// What people who share most of the user's segment bought in the last eight weeks: 40 of those who made the latest 10,000
// purchases.
CYPHER 25
MATCH (u:User {id: $user})
WITH u, [key IN ['age', 'gender', 'income', 'household_size', 'household_comp', 'home_ownership', 'marital_status',
                 'kids_count', 'region'] WHERE u[key] IS NOT NULL] AS keys
WHERE size(keys) > 0
CALL (u, keys) {
  MATCH (o:User)-[b:PURCHASED]->(:Product)
  WHERE b.at < $as_of AND b.at >= $as_of - duration('P56D')
  WITH o, u, keys, b.at AS at
  ORDER BY at DESC
  LIMIT 10000
  WITH DISTINCT o, u, keys
  WITH o, size([key IN keys WHERE o[key] = u[key]]) AS shared
  WHERE shared > 0 AND o <> u
  ORDER BY shared DESC, o.id
  LIMIT 40
  RETURN o, shared
}
CALL (o) {
  MATCH (o)-[b:PURCHASED]->(q:Product)
  WHERE b.at < $as_of AND b.at >= $as_of - duration('P56D')
  RETURN DISTINCT q
  LIMIT 500
}
WITH q, sum(shared) AS score
ORDER BY score DESC, q.id
WHERE NOT q.hidden AND q.stock > 0 AND q.retired_at > datetime() AND NOT q.id IN $without
LIMIT $limit
RETURN collect(q.id) AS items, collect(score) AS scores, collect(q.id) AS via
