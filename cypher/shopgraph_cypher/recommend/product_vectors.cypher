// name: product_vectors
// mode: read
// params: release, items
// returns: ids, vectors
// Vectors of products in the graph embedding that a release serves, or in its text embedding where it serves no other.
CYPHER 25
MATCH (r:Release {id: $release})
UNWIND $items AS item
MATCH (p:Product {id: item})
WITH p, CASE r.graph_slot WHEN 'blue' THEN p.graph_blue WHEN 'green' THEN p.graph_green
        ELSE CASE r.text_slot WHEN 'blue' THEN p.text_blue WHEN 'green' THEN p.text_green END END AS vector
WHERE vector IS NOT NULL
RETURN collect(p.id) AS ids, collect(vector) AS vectors
