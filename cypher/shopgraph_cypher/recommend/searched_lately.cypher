// name: searched_lately
// mode: read
// params: searches, limit, without, reach
// returns: items, scores, via
// Products whose title or description has words of what was typed in this visit (latest first), by their ranks in the
// full-text index.
CYPHER 25
UNWIND range(0, size($searches) - 1) AS back
CALL (back) {
  CALL db.index.fulltext.queryNodes('product_text', $searches[back], {limit: $reach}) YIELD node AS q, score
  WITH q, score
  ORDER BY score DESC, q.id
  WHERE NOT q.hidden AND q.stock > 0 AND q.retired_at > datetime() AND NOT q.id IN $without
  LIMIT 30
  WITH collect(q) AS found
  UNWIND range(0, size(found) - 1) AS place
  RETURN found[place] AS q, 1.0 / (5 + place) AS score
}
WITH q, sum(score / (1 + back)) AS score
ORDER BY score DESC, q.id
LIMIT $limit
RETURN collect(q.id) AS items, collect(score) AS scores, [place IN range(1, count(q)) | null] AS via
