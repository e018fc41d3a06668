// name: newcomers_products
// mode: read
// params: key, edges, limit
// returns: id, edge_count, package_size, title, description, stated, named
// The products that carry no vector of a slot (`key`), or one that was made of another number of catalogue relations
// (`edges`) than they have now; `stated` has a pair of type and id for each relation, and for each way up from a category;
// `named` has a triple of type, id and name for each relation.
CYPHER 25
MATCH (p:Product)
WHERE p[$key] IS NULL
   OR p[$edges] <> COUNT { (p)-[:MADE_BY]->() } + COUNT { (p)-[:WRITTEN_BY]->() }
                   + COUNT { (p)-[:IN_CATEGORY]->() } + COUNT { (p)-[:HAS_ATTRIBUTE]->() }
WITH p
ORDER BY p.id
LIMIT $limit
RETURN p.id AS id,
       COUNT { (p)-[:MADE_BY]->() } + COUNT { (p)-[:WRITTEN_BY]->() }
         + COUNT { (p)-[:IN_CATEGORY]->() } + COUNT { (p)-[:HAS_ATTRIBUTE]->() } AS edge_count,
       coalesce(p.package_size, '') <> '' AS package_size,
       p.title AS title,
       p.description AS description,
       COLLECT { MATCH (p)-[r:MADE_BY|WRITTEN_BY|HAS_ATTRIBUTE]->(n) RETURN [type(r), n.id] }
         + COLLECT { MATCH (p)-[:IN_CATEGORY]->(:Category)-[:CHILD_OF*0..16]->(n:Category)
                     RETURN ['IN_CATEGORY', n.id] } AS stated,
       COLLECT { MATCH (p)-[r:MADE_BY|WRITTEN_BY|IN_CATEGORY|HAS_ATTRIBUTE]->(n)
                 RETURN [type(r), n.id, n.name] } AS named
