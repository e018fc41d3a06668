// name: graph_neighbours_blue
// mode: read
// params: release, user, as_of, limit, without, novel, reach
// returns: items, scores, via
// The products nearest to the user in the graph embedding that a release serves from the blue slot: the exact list of
// a user who bought nothing since the snapshot, while nothing came into the catalogue since, else a search with the user's
// vector moved by the mean of what was bought since the vector was made. `reach` is how deep the search goes, so that
// enough is left when `without` is long.
CYPHER 25
MATCH (:Release {id: $release, graph_slot: 'blue'})-[:NAMES {family: 'graph'}]->(version:ModelVersion)
MATCH (u:User {id: $user})
CALL (u, version) {
  MATCH (u)-[b:PURCHASED]->(p:Product)
  WHERE b.at >= version.before AND b.at < $as_of AND p.graph_blue IS NOT NULL
    AND (u.graph_blue_until IS NULL OR b.at > u.graph_blue_until)
  WITH p, b
  ORDER BY b.at DESC, p.id
  LIMIT 20
  RETURN collect(p.graph_blue) AS since
}
WITH u, since, CASE WHEN EXISTS { (:Slot {id: 'graph_blue', has_newcomers: true}) } THEN null
                    WHEN $novel THEN u.graph_blue_new ELSE u.graph_blue_top END AS exact
CALL (u, since, exact) {
  WHEN size(since) = 0 AND exact IS NOT NULL THEN {
    WITH split(exact, '\n') AS near
    UNWIND range(0, size(near) - 1) AS place
    MATCH (q:Product {id: near[place]})
    RETURN q, 1.0 / (1 + place) AS score
  }
  ELSE {
    WITH since, coalesce(u.graph_blue, []) AS own
    WITH since, own, size(coalesce(head(since), own)) AS dimension
    WHERE dimension > 0
    WITH [i IN range(0, dimension - 1) |
           coalesce(own[i], 0.0) + reduce(total = 0.0, v IN since | total + v[i] / size(since))] AS vector
    MATCH (q:Product)
    SEARCH q IN (VECTOR INDEX product_graph_blue FOR vector
      WHERE q.hidden = false AND q.stock > 0 AND q.retired_at > datetime()
      LIMIT $reach) SCORE AS score
    RETURN q, score
  }
}
WITH q, score
ORDER BY score DESC, q.id
WHERE NOT q.hidden AND q.stock > 0 AND q.retired_at > datetime() AND NOT q.id IN $without
LIMIT $limit
RETURN collect(q.id) AS items, collect(score) AS scores, [place IN range(1, count(q)) | null] AS via
