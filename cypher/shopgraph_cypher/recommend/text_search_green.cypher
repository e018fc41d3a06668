// name: text_search_green
// mode: read
// params: release, vector, limit, without, reach
// returns: items, scores, via
// The products nearest to a query in the text embedding that a release serves from the green slot.
CYPHER 25
MATCH (:Release {id: $release, text_slot: 'green'})
MATCH (q:Product)
SEARCH q IN (VECTOR INDEX product_text_green FOR $vector LIMIT $reach) SCORE AS score
WITH q, score
ORDER BY score DESC, q.id
WHERE NOT q.hidden AND q.stock > 0 AND q.retired_at > datetime() AND NOT q.id IN $without
LIMIT $limit
RETURN collect(q.id) AS items, collect(score) AS scores, [place IN range(1, count(q)) | null] AS via
