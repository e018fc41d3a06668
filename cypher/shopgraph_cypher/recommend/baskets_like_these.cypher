// name: baskets_like_these
// mode: read
// params: like, unlike, unlike_share, limit, without
// returns: items, scores, via
// What shares baskets with the products that are liked, less a share of what it shares with those that are not; `via` is
// the liked one that it is bought with most.
CYPHER 25
CALL () {
  UNWIND $like AS id
  MATCH (p:Product {id: id})-[w:BOUGHT_WITH]->(q:Product)
  RETURN q, p.id AS via, w.weight / size($like) AS weight
  UNION ALL
  UNWIND $unlike AS id
  MATCH (:Product {id: id})-[w:BOUGHT_WITH]->(q:Product)
  RETURN q, null AS via, -$unlike_share * w.weight / size($unlike) AS weight
}
WITH q, via, weight
ORDER BY weight DESC, via
WITH q, sum(weight) AS score, head(collect(via)) AS via
ORDER BY score DESC, q.id
WHERE score > 0 AND NOT q.hidden AND q.stock > 0 AND q.retired_at > datetime() AND NOT q.id IN $without
LIMIT $limit
RETURN collect(q.id) AS items, collect(score) AS scores, collect(via) AS via
