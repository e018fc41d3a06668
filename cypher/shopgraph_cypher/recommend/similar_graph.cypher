// name: similar_graph
// mode: read
// params: release, product, limit
// returns: items, scores, via
// The products nearest to one product in the graph embedding of a release, from its exact list.
CYPHER 25
MATCH (r:Release {id: $release})
MATCH (p:Product {id: $product})
WITH CASE r.graph_slot WHEN 'blue' THEN p.graph_blue_top WHEN 'green' THEN p.graph_green_top END AS list
WITH coalesce(split(list, '\n'), []) AS near
UNWIND range(0, size(near) - 1) AS place
MATCH (q:Product {id: near[place]})
WHERE NOT q.hidden AND q.stock > 0 AND q.retired_at > datetime()
WITH q, place
LIMIT $limit
RETURN collect(q.id) AS items, collect(1.0 / (1 + place)) AS scores, [q IN collect(q) | $product] AS via
