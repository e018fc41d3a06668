// name: users_alike
// mode: read
// params: user, as_of, limit, most_shared
// returns: known, by, users
// The users who buy most like one user, with the products that both bought, most bought by the other first: those that
// were derived, or, where none are, those nearest in the graph embedding that serves among 200 buyers of each of the
// twenty products that the user bought last.
CYPHER 25
OPTIONAL MATCH (u:User {id: $user})
OPTIONAL MATCH (r:Release {active: true})
WITH u, r.graph_slot AS slot, EXISTS { (u)-[:SIMILAR_TO]->(:User) } AS derived
CALL (u) {
  MATCH (u)-[b:PURCHASED]->(p:Product)
  WHERE b.at < $as_of
  WITH p, max(b.at) AS last
  ORDER BY last DESC, p.id
  RETURN collect(p) AS own
}
CALL (u, slot, derived, own) {
  CALL (u, slot, derived, own) {
    WHEN derived THEN {
      MATCH (u)-[s:SIMILAR_TO]->(o:User)
      RETURN o, s.weight AS score
      ORDER BY score DESC, o.id
      LIMIT $limit
    }
    ELSE {
      UNWIND own[0..20] AS p
      CALL (p) {
        MATCH (p)<-[b:PURCHASED]-(o:User)
        WHERE b.at < $as_of
        RETURN DISTINCT o
        LIMIT 200
      }
      WITH DISTINCT u, o, slot
      WHERE o <> u
      WITH o, CASE slot WHEN 'blue' THEN u.graph_blue WHEN 'green' THEN u.graph_green END AS vector,
           CASE slot WHEN 'blue' THEN o.graph_blue WHEN 'green' THEN o.graph_green END AS other
      WHERE vector IS NOT NULL AND other IS NOT NULL
      RETURN o, vector.similarity.cosine(vector, other) AS score
      ORDER BY score DESC, o.id
      LIMIT $limit
    }
  }
  CALL (o, own) {
    MATCH (o)-[b:PURCHASED]->(p:Product)
    WHERE b.at < $as_of AND p IN own
    WITH p, count(*) AS times
    ORDER BY times DESC, p.id
    RETURN collect({id: p.id, title: p.title})[0..$most_shared] AS shared, count(p) AS shared_count
  }
  WITH o, score, shared, shared_count
  ORDER BY score DESC, o.id
  RETURN collect({id: o.id, score: score, shared: shared, shared_count: shared_count}) AS users
}
RETURN u IS NOT NULL AS known, CASE WHEN derived THEN 'purchases' ELSE 'graph' END AS by, users
