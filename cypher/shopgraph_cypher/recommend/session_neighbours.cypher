// name: session_neighbours
// mode: read
// params: release, session, limit, without
// returns: items, scores, via
// What is bought with, or lies near in the release's exact lists to, the products of this session (latest first).
CYPHER 25
OPTIONAL MATCH (r:Release {id: $release})
WITH r.graph_slot AS graph_slot, r.text_slot AS text_slot
UNWIND range(0, size($session) - 1) AS back
MATCH (p:Product {id: $session[back]})
CALL (p, graph_slot, text_slot) {
  MATCH (p)-[w:BOUGHT_WITH]->(q:Product)
  RETURN q, w.weight AS score
  UNION ALL
  WITH CASE graph_slot
       WHEN 'blue' THEN p.graph_blue_top WHEN 'green' THEN p.graph_green_top END AS list
  WITH coalesce(split(list, '\n'), [])[0..30] AS near
  UNWIND range(0, size(near) - 1) AS place
  MATCH (q:Product {id: near[place]})
  RETURN q, 1.0 / (5 + place) AS score
  UNION ALL
  WITH CASE text_slot
       WHEN 'blue' THEN p.text_blue_top WHEN 'green' THEN p.text_green_top END AS list
  WITH coalesce(split(list, '\n'), [])[0..30] AS near
  UNWIND range(0, size(near) - 1) AS place
  MATCH (q:Product {id: near[place]})
  RETURN q, 0.5 / (5 + place) AS score
}
WITH q, p, score / (1 + back) AS score
WHERE NOT q.id IN $session
ORDER BY score DESC, p.id
WITH q, sum(score) AS score, head(collect(p.id)) AS via
ORDER BY score DESC, q.id
WHERE NOT q.hidden AND q.stock > 0 AND q.retired_at > datetime() AND NOT q.id IN $without
LIMIT $limit
RETURN collect(q.id) AS items, collect(score) AS scores, collect(via) AS via
