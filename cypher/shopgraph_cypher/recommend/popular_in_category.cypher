// name: popular_in_category
// mode: read
// params: session, categories, limit, without
// returns: items, scores, via
// What the most people bought lately in the lowest categories of this visit's products, the latest counting most, and in
// those that were asked for; `via` is the product of the visit.
CYPHER 25
CALL () {
  UNWIND range(0, size($session) - 1) AS back
  MATCH (p:Product {id: $session[back]})
  RETURN CASE WHEN p.category_3 <> '' THEN p.category_3 WHEN p.category_2 <> '' THEN p.category_2 ELSE p.category_1 END
           AS category, 1.0 / (1 + back) AS liking, p.id AS seen
  UNION ALL
  UNWIND $categories AS category
  RETURN category, 1.0 AS liking, null AS seen
}
WITH category, sum(liking) AS liking, head(collect(seen)) AS seen
WHERE category <> ''
WITH category, liking, seen
ORDER BY liking DESC, category
LIMIT 15
MATCH (c:Category {id: category})
CALL (c) {
  WHEN c.level = 1 THEN {
    MATCH (q:Product)
    WHERE q.category_1 = c.id AND q.popularity > 0
    WITH q ORDER BY q.category_1 DESC, q.popularity DESC
    WHERE NOT q.hidden AND q.stock > 0 AND q.retired_at > datetime() AND NOT q.id IN $without AND NOT q.id IN $session
    LIMIT 50
    RETURN q
  }
  WHEN c.level = 2 THEN {
    MATCH (q:Product)
    WHERE q.category_2 = c.id AND q.popularity > 0
    WITH q ORDER BY q.category_2 DESC, q.popularity DESC
    WHERE NOT q.hidden AND q.stock > 0 AND q.retired_at > datetime() AND NOT q.id IN $without AND NOT q.id IN $session
    LIMIT 50
    RETURN q
  }
  ELSE {
    MATCH (q:Product)
    WHERE q.category_3 = c.id AND q.popularity > 0
    WITH q ORDER BY q.category_3 DESC, q.popularity DESC
    WHERE NOT q.hidden AND q.stock > 0 AND q.retired_at > datetime() AND NOT q.id IN $without AND NOT q.id IN $session
    LIMIT 50
    RETURN q
  }
}
WITH q, max(liking) * q.popularity AS score, head(collect(seen)) AS via
ORDER BY score DESC, q.id
LIMIT $limit
RETURN collect(q.id) AS items, collect(score) AS scores, collect(coalesce(via, q.id)) AS via
