// name: around
// mode: read
// params: label, id, cap
// returns: title, relations
// One node's title and what it is related to: at most `cap` relations of each type in each direction, latest or strongest
// where that costs nothing. Labels and types are written out: given as parameters they would scan the label or walk every
// relation of a super-node.
CYPHER 25
CALL () {
  WHEN $label = 'Product' THEN { MATCH (n:Product {id: $id}) RETURN n }
  WHEN $label = 'User' THEN { MATCH (n:User {id: $id}) RETURN n }
  WHEN $label = 'Brand' THEN { MATCH (n:Brand {id: $id}) RETURN n }
  WHEN $label = 'Author' THEN { MATCH (n:Author {id: $id}) RETURN n }
  WHEN $label = 'Category' THEN { MATCH (n:Category {id: $id}) RETURN n }
  WHEN $label = 'Attribute' THEN { MATCH (n:Attribute {id: $id}) RETURN n }
  WHEN $label = 'SearchTerm' THEN { MATCH (n:SearchTerm {id: $id}) RETURN n }
}
CALL (n) {
  CALL (n) {
    MATCH (n)-[r:PURCHASED]->(m)
    WITH m, r
    LIMIT $cap
    RETURN 'PURCHASED' AS type, true AS out, m
    UNION ALL
    MATCH (n)<-[r:PURCHASED]-(m)
    WITH m, r
    LIMIT $cap
    RETURN 'PURCHASED' AS type, false AS out, m
    UNION ALL
    MATCH (n)-[r:VIEWED]->(m)
    WITH m, r
    LIMIT $cap
    RETURN 'VIEWED' AS type, true AS out, m
    UNION ALL
    MATCH (n)<-[r:VIEWED]-(m)
    WITH m, r
    LIMIT $cap
    RETURN 'VIEWED' AS type, false AS out, m
    UNION ALL
    MATCH (n)-[r:SEARCHED]->(m)
    WITH m, r
    LIMIT $cap
    RETURN 'SEARCHED' AS type, true AS out, m
    UNION ALL
    MATCH (n)<-[r:SEARCHED]-(m)
    WITH m, r
    LIMIT $cap
    RETURN 'SEARCHED' AS type, false AS out, m
    UNION ALL
    MATCH (n)-[r:RATED]->(m)
    WITH m, r
    LIMIT $cap
    RETURN 'RATED' AS type, true AS out, m
    UNION ALL
    MATCH (n)<-[r:RATED]-(m)
    WITH m, r
    LIMIT $cap
    RETURN 'RATED' AS type, false AS out, m
    UNION ALL
    MATCH (n)-[r:MADE_BY]->(m)
    WITH m, r
    LIMIT $cap
    RETURN 'MADE_BY' AS type, true AS out, m
    UNION ALL
    MATCH (n)<-[r:MADE_BY]-(m)
    WITH m, r
    LIMIT $cap
    RETURN 'MADE_BY' AS type, false AS out, m
    UNION ALL
    MATCH (n)-[r:WRITTEN_BY]->(m)
    WITH m, r
    LIMIT $cap
    RETURN 'WRITTEN_BY' AS type, true AS out, m
    UNION ALL
    MATCH (n)<-[r:WRITTEN_BY]-(m)
    WITH m, r
    LIMIT $cap
    RETURN 'WRITTEN_BY' AS type, false AS out, m
    UNION ALL
    MATCH (n)-[r:IN_CATEGORY]->(m)
    WITH m, r
    LIMIT $cap
    RETURN 'IN_CATEGORY' AS type, true AS out, m
    UNION ALL
    MATCH (n)<-[r:IN_CATEGORY]-(m)
    WITH m, r
    LIMIT $cap
    RETURN 'IN_CATEGORY' AS type, false AS out, m
    UNION ALL
    MATCH (n)-[r:CHILD_OF]->(m)
    WITH m, r
    LIMIT $cap
    RETURN 'CHILD_OF' AS type, true AS out, m
    UNION ALL
    MATCH (n)<-[r:CHILD_OF]-(m)
    WITH m, r
    LIMIT $cap
    RETURN 'CHILD_OF' AS type, false AS out, m
    UNION ALL
    MATCH (n)-[r:HAS_ATTRIBUTE]->(m)
    WITH m, r
    LIMIT $cap
    RETURN 'HAS_ATTRIBUTE' AS type, true AS out, m
    UNION ALL
    MATCH (n)<-[r:HAS_ATTRIBUTE]-(m)
    WITH m, r
    LIMIT $cap
    RETURN 'HAS_ATTRIBUTE' AS type, false AS out, m
    UNION ALL
    MATCH (n)-[r:BOUGHT_WITH]->(m)
    WITH m, r ORDER BY r.weight DESC
    LIMIT $cap
    RETURN 'BOUGHT_WITH' AS type, true AS out, m
    UNION ALL
    MATCH (n)<-[r:BOUGHT_WITH]-(m)
    WITH m, r
    LIMIT $cap
    RETURN 'BOUGHT_WITH' AS type, false AS out, m
    UNION ALL
    MATCH (n)-[r:SIMILAR_TO]->(m)
    WITH m, r ORDER BY r.weight DESC
    LIMIT $cap
    RETURN 'SIMILAR_TO' AS type, true AS out, m
    UNION ALL
    MATCH (n)<-[r:SIMILAR_TO]-(m)
    WITH m, r
    LIMIT $cap
    RETURN 'SIMILAR_TO' AS type, false AS out, m
  }
  RETURN collect({type: type, out: out, label: labels(m)[0], id: m.id, title: coalesce(m.title, m.name, m.text, m.value)})
         AS relations
}
RETURN coalesce(n.title, n.name, n.text, n.value) AS title, relations
