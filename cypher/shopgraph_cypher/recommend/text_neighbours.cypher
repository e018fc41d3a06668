// name: text_neighbours
// mode: read
// params: release, user, as_of, limit, without
// returns: items, scores, via
// What reads like the twelve products that the user bought or viewed last, from a release's exact lists.
CYPHER 25
MATCH (r:Release {id: $release})
MATCH (u:User {id: $user})-[b:PURCHASED|VIEWED]->(p:Product)
WHERE b.at < $as_of
WITH r, p, max(b.at) AS last
ORDER BY last DESC, p.id
LIMIT 12
WITH p, CASE r.text_slot
     WHEN 'blue' THEN p.text_blue_top WHEN 'green' THEN p.text_green_top END AS list
WITH p, coalesce(split(list, '\n'), [])[0..30] AS near
UNWIND range(0, size(near) - 1) AS place
WITH near[place] AS id, place, p
ORDER BY place, p.id
WITH id, sum(1.0 / (10 + place)) AS score, head(collect(p.id)) AS via
ORDER BY score DESC, id
MATCH (q:Product {id: id})
WHERE NOT q.hidden AND q.stock > 0 AND q.retired_at > datetime() AND NOT q.id IN $without
WITH q, score, via
LIMIT $limit
RETURN collect(q.id) AS items, collect(score) AS scores, collect(via) AS via
