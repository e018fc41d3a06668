// name: reasons
// mode: read
// params: user, as_of, items, via
// returns: facts
// For each item its title, and the paths by which the user, or the product named in `via`, reaches it in the graph now: of
// the products that could speak for it the one bought most, a purchase counting half after twelve weeks.
CYPHER 25
OPTIONAL MATCH (u:User {id: $user})
CALL (u) {
  MATCH (u)-[b:PURCHASED]->(p:Product)
  WHERE b.at < $as_of
  WITH p, b
  ORDER BY b.at DESC
  LIMIT 1000
  WITH p, max(b.at) AS last, sum(0.5 ^ (($as_of.epochSeconds - b.at.epochSeconds) / (12 * 7 * 86400.0))) AS weight
  ORDER BY weight DESC, last DESC, p.id
  LIMIT 100
  RETURN collect(p) AS own
}
UNWIND range(0, size($items) - 1) AS place
MATCH (i:Product {id: $items[place]})
OPTIONAL MATCH (v:Product {id: $via[place]})
WHERE v <> i
WITH u, i, place, CASE WHEN v IS NULL THEN own ELSE [v] + own END AS near
CALL (u, i) {
  OPTIONAL MATCH (u)-[b:PURCHASED]->(i)
  WHERE b.at < $as_of
  RETURN count(DISTINCT b.order_id) AS times, max(b.at) AS last
}
CALL (u, i, near) {
  CALL (i, near) {
    UNWIND near AS p
    MATCH (p)-[:BOUGHT_WITH]->(i)
    RETURN p, 'BOUGHT_WITH' AS relation, null AS shared
    LIMIT 1
    UNION ALL
    MATCH (i)-[:WRITTEN_BY]->(shared:Author)
    UNWIND near AS p
    MATCH (p)-[:WRITTEN_BY]->(shared)
    RETURN p, 'WRITTEN_BY' AS relation, shared
    LIMIT 1
    UNION ALL
    MATCH (i)-[:IN_CATEGORY]->(shared:Category)
    UNWIND near AS p
    WITH p, shared
    WHERE shared.id IN [p.category_3, p.category_2, p.category_1]
    MATCH (p)-[:IN_CATEGORY]->(shared)
    RETURN p, 'IN_CATEGORY' AS relation, shared
    LIMIT 1
    UNION ALL
    MATCH (i)-[:MADE_BY]->(shared:Brand)
    UNWIND near AS p
    WITH p, shared
    WHERE p.brand_id = shared.id
    MATCH (p)-[:MADE_BY]->(shared)
    RETURN p, 'MADE_BY' AS relation, shared
    LIMIT 1
    UNION ALL
    MATCH (i)-[:HAS_ATTRIBUTE]->(shared:Attribute)
    UNWIND near[0..10] AS p
    MATCH (p)-[:HAS_ATTRIBUTE]->(shared)
    RETURN p, 'HAS_ATTRIBUTE' AS relation, shared
    LIMIT 1
  }
  RETURN collect({
    product: p.id, product_title: p.title, relation: relation, shared: shared.id,
    shared_name: coalesce(shared.name, shared.value), shared_key: shared.key,
    bond: CASE WHEN EXISTS { (u)-[b:PURCHASED]->(p) WHERE b.at < $as_of } THEN 'PURCHASED'
               WHEN EXISTS { (u)-[b:VIEWED]->(p) WHERE b.at < $as_of } THEN 'VIEWED' END
  }) AS paths
}
WITH i, place, times, last, paths
ORDER BY place
RETURN collect({id: i.id, title: i.title, popularity: coalesce(i.popularity, 0), times: times, last: last,
                paths: paths}) AS facts
