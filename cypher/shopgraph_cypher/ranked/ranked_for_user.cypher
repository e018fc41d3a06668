// name: ranked_for_user
// mode: read
// params: user, kind, scenario, limit, without, categories, min_price, max_price
// returns: as_of, release, versions, rules, experiments, has_variants, length, items
// The first products of a user's list that was ranked ahead, of those that may be shown now and pass, each with its line's
// parts, the names of what its reason goes through and whether that path is there now; and the rules in force
// and the experiment that runs at a place.
// `length` is null where no list can be used: none of the serving release, or the user has done something since.
CYPHER 25
OPTIONAL MATCH (r:Release {active: true})
OPTIONAL MATCH (u:User {id: $user})
WITH r, split(u[$kind + '_' + r.ranked_slot], '\n') AS lines,
     COUNT { (u)-[:PURCHASED|VIEWED|RATED|PUT_IN_BASKET|TOOK_FROM_BASKET|HID|UNHID]->() } AS events
WITH r, CASE WHEN lines[0] = r.ranked_run + '\u001F' + toString(events) THEN lines END AS lines
CALL (lines) {
  UNWIND range(1, coalesce(size(lines), 0) - 1) AS place
  WITH split(lines[place], '\u001F') AS part
  MATCH (p:Product {id: part[0]})
  WHERE NOT p.hidden AND p.stock > 0 AND p.retired_at > datetime() AND NOT p.id IN $without
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
RETURN r.ranked_as_of AS as_of, r.id AS release,
       COLLECT { MATCH (r)-[n:NAMES]->(v:ModelVersion) RETURN [n.family, v.id] } AS versions,
       COLLECT { MATCH (rule:Rule)
                 WHERE rule.ended_at IS NULL AND rule.starts <= datetime() AND (rule.ends IS NULL OR rule.ends > datetime())
                   AND rule.scenario IN ['', $scenario]
                 RETURN rule {.id, .kind, .label, .target, .amount} ORDER BY rule.id } AS rules,
       COLLECT { MATCH (e:Experiment {running: $scenario}) RETURN e {.id, .name, .scenario, .kind, .variants} } AS experiments,
       EXISTS { MATCH (v:Product) WHERE v.variant_of > '' } AS has_variants,
       size(lines) - 1 AS length, items
