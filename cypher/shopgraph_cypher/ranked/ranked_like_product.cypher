// name: ranked_like_product
// mode: read
// params: product, user, session, scenario, limit, without, categories, min_price, max_price
// returns: as_of, release, versions, rules, experiments, hidden, has_variants, wrong, length, items
// The first products of a product's list of those like it, as `serving_state` tells them, none that the user or the session
// who sees it has hidden; `length` is null where the serving release has no list of the product.
CYPHER 25
OPTIONAL MATCH (r:Release {active: true})
OPTIONAL MATCH (u:Product {id: $product})
WITH r, split(u['ranked_similar_' + r.ranked_slot], '\n') AS lines
WITH r, CASE WHEN lines[0] = r.ranked_run THEN lines END AS lines
OPTIONAL MATCH (seer:User {id: $user})
OPTIONAL MATCH (visit:Session {id: $session})
CALL (seer, visit) {
  UNWIND [seer, visit] AS who
  MATCH (who)-[h:HID]->(p:Product)
  WITH p, max(h.at) AS hid
  WHERE NOT EXISTS { (seer)-[back:UNHID]->(p) WHERE back.at > hid }
    AND NOT EXISTS { (visit)-[back:UNHID]->(p) WHERE back.at > hid }
  RETURN collect(p.id) AS hidden
}
CALL (lines, hidden) {
  UNWIND range(1, coalesce(size(lines), 0) - 1) AS place
  WITH split(lines[place], '\u001F') AS part
  MATCH (p:Product {id: part[0]})
  WHERE NOT p.hidden AND p.stock > 0 AND p.retired_at > datetime() AND NOT p.id IN $without AND NOT p.id IN hidden
    AND (size($categories) = 0 OR p.category_1 IN $categories OR p.category_2 IN $categories
         OR p.category_3 IN $categories)
    AND ($min_price IS NULL OR p.price >= $min_price) AND ($max_price IS NULL OR p.price <= $max_price)
  WITH p, part
  LIMIT $limit
  OPTIONAL MATCH (near:Product {id: part[4]})
  OPTIONAL MATCH (p)-[w:WRITTEN_BY|IN_CATEGORY|MADE_BY|HAS_ATTRIBUTE]->(s)
  WHERE type(w) = part[3] AND s.id = part[5]
  RETURN collect([part, p.title, coalesce(p.popularity, 0), near.title, coalesce(s.name, s.value), s.key,
                  CASE part[3]
                  WHEN 'BOUGHT_WITH' THEN EXISTS { (near)-[:BOUGHT_WITH]->(p) }
                  ELSE EXISTS { (near)-[x:WRITTEN_BY|IN_CATEGORY|MADE_BY|HAS_ATTRIBUTE]->(s) WHERE type(x) = part[3] }
                  END]) AS items
}
RETURN [r.ranked_as_of.epochSeconds, r.ranked_as_of.nanosecond] AS as_of, r.id AS release,
       COLLECT { MATCH (r)-[n:NAMES]->(v:ModelVersion) RETURN [n.family, v.id] } AS versions,
       COLLECT { MATCH (rule:Rule)
                 WHERE rule.ended_at IS NULL AND rule.starts <= datetime() AND (rule.ends IS NULL OR rule.ends > datetime())
                   AND rule.scenario IN ['', $scenario]
                 RETURN rule {.id, .kind, .label, .target, .amount} ORDER BY rule.id } AS rules,
       COLLECT { MATCH (e:Experiment {running: $scenario}) RETURN e {.id, .name, .scenario, .kind, .variants} } AS experiments,
       hidden, EXISTS { MATCH (v:Product) WHERE v.variant_of > '' } AS has_variants,
       COLLECT { MATCH (d:Doubt {verdict: 'wrong'}) RETURN d.id } AS wrong,
       size(lines) - 1 AS length, items
