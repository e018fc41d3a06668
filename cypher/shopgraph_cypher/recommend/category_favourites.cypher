// name: category_favourites
// mode: read
// params: user, as_of, limit, without, half_life_weeks
// returns: items, scores, via
// The products most bought of late in the fifteen categories that the user buys most; `via` is the category.
CYPHER 25
MATCH (u:User {id: $user})-[b:PURCHASED]->(p:Product)
WHERE b.at < $as_of
WITH CASE WHEN p.category_3 <> '' THEN p.category_3 WHEN p.category_2 <> '' THEN p.category_2 ELSE p.category_1 END
       AS category,
     sum(0.5 ^ (($as_of.epochSeconds - b.at.epochSeconds) / (604800.0 * $half_life_weeks))) AS liking
WHERE category <> ''
WITH category, liking
ORDER BY liking DESC, category
LIMIT 15
MATCH (c:Category {id: category})
CALL (c) {
  WHEN c.level = 1 THEN {
    MATCH (q:Product)
    WHERE q.category_1 = c.id AND q.popularity > 0
    WITH q ORDER BY q.category_1 DESC, q.popularity DESC
    WHERE NOT q.hidden AND q.stock > 0 AND q.retired_at > datetime() AND NOT q.id IN $without
    LIMIT 20
    RETURN q
  }
  WHEN c.level = 2 THEN {
    MATCH (q:Product)
    WHERE q.category_2 = c.id AND q.popularity > 0
    WITH q ORDER BY q.category_2 DESC, q.popularity DESC
    WHERE NOT q.hidden AND q.stock > 0 AND q.retired_at > datetime() AND NOT q.id IN $without
    LIMIT 20
    RETURN q
  }
  ELSE {
    MATCH (q:Product)
    WHERE q.category_3 = c.id AND q.popularity > 0
    WITH q ORDER BY q.category_3 DESC, q.popularity DESC
    WHERE NOT q.hidden AND q.stock > 0 AND q.retired_at > datetime() AND NOT q.id IN $without
    LIMIT 20
    RETURN q
  }
}
WITH q, c, liking * q.popularity AS score
ORDER BY score DESC, q.id
LIMIT $limit
RETURN collect(q.id) AS items, collect(score) AS scores, collect(c.id) AS via
