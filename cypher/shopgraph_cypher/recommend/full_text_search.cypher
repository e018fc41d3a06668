// name: full_text_search
// mode: read
// params: query, limit, without, reach
// returns: items, scores, via
// Products whose title or description has words of the query, by the score of the full-text index.
CYPHER 25
CALL db.index.fulltext.queryNodes('product_text', $query, {limit: $reach}) YIELD node AS q, score
WITH q, score
ORDER BY score DESC, q.id
WHERE NOT q.hidden AND q.stock > 0 AND q.retired_at > datetime() AND NOT q.id IN $without
LIMIT $limit
RETURN collect(q.id) AS items, collect(score) AS scores, [place IN range(1, count(q)) | null] AS via
