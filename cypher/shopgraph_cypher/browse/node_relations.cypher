// name: node_relations
// mode: read
// params: label, id, cap
// returns: groups
// What a node is related to, by type and direction: how many in all (a degree, never a walk) and at most `cap` of them.
// Types are written out because a type given as a parameter would walk every relation of a super-node.
CYPHER 25
MATCH (n:$($label) {id: $id})
CALL (n) {
  RETURN 'PURCHASED' AS type, 'out' AS direction, COUNT { (n)-[:PURCHASED]->() } AS total,
         COLLECT { MATCH (n)-[r:PURCHASED]->(m) RETURN {label: labels(m)[0], id: m.id, node: m {.title, .name, .text, .value}, relation: r {.at, .weight, .rating}} LIMIT $cap } AS items
  UNION ALL
  RETURN 'PURCHASED' AS type, 'in' AS direction, COUNT { (n)<-[:PURCHASED]-() } AS total,
         COLLECT { MATCH (n)<-[r:PURCHASED]-(m) RETURN {label: labels(m)[0], id: m.id, node: m {.title, .name, .text, .value}, relation: r {.at, .weight, .rating}} LIMIT $cap } AS items
  UNION ALL
  RETURN 'VIEWED' AS type, 'out' AS direction, COUNT { (n)-[:VIEWED]->() } AS total,
         COLLECT { MATCH (n)-[r:VIEWED]->(m) RETURN {label: labels(m)[0], id: m.id, node: m {.title, .name, .text, .value}, relation: r {.at, .weight, .rating}} LIMIT $cap } AS items
  UNION ALL
  RETURN 'VIEWED' AS type, 'in' AS direction, COUNT { (n)<-[:VIEWED]-() } AS total,
         COLLECT { MATCH (n)<-[r:VIEWED]-(m) RETURN {label: labels(m)[0], id: m.id, node: m {.title, .name, .text, .value}, relation: r {.at, .weight, .rating}} LIMIT $cap } AS items
  UNION ALL
  RETURN 'SEARCHED' AS type, 'out' AS direction, COUNT { (n)-[:SEARCHED]->() } AS total,
         COLLECT { MATCH (n)-[r:SEARCHED]->(m) RETURN {label: labels(m)[0], id: m.id, node: m {.title, .name, .text, .value}, relation: r {.at, .weight, .rating}} LIMIT $cap } AS items
  UNION ALL
  RETURN 'SEARCHED' AS type, 'in' AS direction, COUNT { (n)<-[:SEARCHED]-() } AS total,
         COLLECT { MATCH (n)<-[r:SEARCHED]-(m) RETURN {label: labels(m)[0], id: m.id, node: m {.title, .name, .text, .value}, relation: r {.at, .weight, .rating}} LIMIT $cap } AS items
  UNION ALL
  RETURN 'RATED' AS type, 'out' AS direction, COUNT { (n)-[:RATED]->() } AS total,
         COLLECT { MATCH (n)-[r:RATED]->(m) RETURN {label: labels(m)[0], id: m.id, node: m {.title, .name, .text, .value}, relation: r {.at, .weight, .rating}} LIMIT $cap } AS items
  UNION ALL
  RETURN 'RATED' AS type, 'in' AS direction, COUNT { (n)<-[:RATED]-() } AS total,
         COLLECT { MATCH (n)<-[r:RATED]-(m) RETURN {label: labels(m)[0], id: m.id, node: m {.title, .name, .text, .value}, relation: r {.at, .weight, .rating}} LIMIT $cap } AS items
  UNION ALL
  RETURN 'MADE_BY' AS type, 'out' AS direction, COUNT { (n)-[:MADE_BY]->() } AS total,
         COLLECT { MATCH (n)-[r:MADE_BY]->(m) RETURN {label: labels(m)[0], id: m.id, node: m {.title, .name, .text, .value}, relation: r {.at, .weight, .rating}} LIMIT $cap } AS items
  UNION ALL
  RETURN 'MADE_BY' AS type, 'in' AS direction, COUNT { (n)<-[:MADE_BY]-() } AS total,
         COLLECT { MATCH (n)<-[r:MADE_BY]-(m) RETURN {label: labels(m)[0], id: m.id, node: m {.title, .name, .text, .value}, relation: r {.at, .weight, .rating}} LIMIT $cap } AS items
  UNION ALL
  RETURN 'WRITTEN_BY' AS type, 'out' AS direction, COUNT { (n)-[:WRITTEN_BY]->() } AS total,
         COLLECT { MATCH (n)-[r:WRITTEN_BY]->(m) RETURN {label: labels(m)[0], id: m.id, node: m {.title, .name, .text, .value}, relation: r {.at, .weight, .rating}} LIMIT $cap } AS items
  UNION ALL
  RETURN 'WRITTEN_BY' AS type, 'in' AS direction, COUNT { (n)<-[:WRITTEN_BY]-() } AS total,
         COLLECT { MATCH (n)<-[r:WRITTEN_BY]-(m) RETURN {label: labels(m)[0], id: m.id, node: m {.title, .name, .text, .value}, relation: r {.at, .weight, .rating}} LIMIT $cap } AS items
  UNION ALL
  RETURN 'IN_CATEGORY' AS type, 'out' AS direction, COUNT { (n)-[:IN_CATEGORY]->() } AS total,
         COLLECT { MATCH (n)-[r:IN_CATEGORY]->(m) RETURN {label: labels(m)[0], id: m.id, node: m {.title, .name, .text, .value}, relation: r {.at, .weight, .rating}} LIMIT $cap } AS items
  UNION ALL
  RETURN 'IN_CATEGORY' AS type, 'in' AS direction, COUNT { (n)<-[:IN_CATEGORY]-() } AS total,
         COLLECT { MATCH (n)<-[r:IN_CATEGORY]-(m) RETURN {label: labels(m)[0], id: m.id, node: m {.title, .name, .text, .value}, relation: r {.at, .weight, .rating}} LIMIT $cap } AS items
  UNION ALL
  RETURN 'CHILD_OF' AS type, 'out' AS direction, COUNT { (n)-[:CHILD_OF]->() } AS total,
         COLLECT { MATCH (n)-[r:CHILD_OF]->(m) RETURN {label: labels(m)[0], id: m.id, node: m {.title, .name, .text, .value}, relation: r {.at, .weight, .rating}} LIMIT $cap } AS items
  UNION ALL
  RETURN 'CHILD_OF' AS type, 'in' AS direction, COUNT { (n)<-[:CHILD_OF]-() } AS total,
         COLLECT { MATCH (n)<-[r:CHILD_OF]-(m) RETURN {label: labels(m)[0], id: m.id, node: m {.title, .name, .text, .value}, relation: r {.at, .weight, .rating}} LIMIT $cap } AS items
  UNION ALL
  RETURN 'HAS_ATTRIBUTE' AS type, 'out' AS direction, COUNT { (n)-[:HAS_ATTRIBUTE]->() } AS total,
         COLLECT { MATCH (n)-[r:HAS_ATTRIBUTE]->(m) RETURN {label: labels(m)[0], id: m.id, node: m {.title, .name, .text, .value}, relation: r {.at, .weight, .rating}} LIMIT $cap } AS items
  UNION ALL
  RETURN 'HAS_ATTRIBUTE' AS type, 'in' AS direction, COUNT { (n)<-[:HAS_ATTRIBUTE]-() } AS total,
         COLLECT { MATCH (n)<-[r:HAS_ATTRIBUTE]-(m) RETURN {label: labels(m)[0], id: m.id, node: m {.title, .name, .text, .value}, relation: r {.at, .weight, .rating}} LIMIT $cap } AS items
  UNION ALL
  RETURN 'BOUGHT_WITH' AS type, 'out' AS direction, COUNT { (n)-[:BOUGHT_WITH]->() } AS total,
         COLLECT { MATCH (n)-[r:BOUGHT_WITH]->(m) RETURN {label: labels(m)[0], id: m.id, node: m {.title, .name, .text, .value}, relation: r {.at, .weight, .rating}} ORDER BY r.weight DESC LIMIT $cap } AS items
  UNION ALL
  RETURN 'BOUGHT_WITH' AS type, 'in' AS direction, COUNT { (n)<-[:BOUGHT_WITH]-() } AS total,
         COLLECT { MATCH (n)<-[r:BOUGHT_WITH]-(m) RETURN {label: labels(m)[0], id: m.id, node: m {.title, .name, .text, .value}, relation: r {.at, .weight, .rating}} ORDER BY r.weight DESC LIMIT $cap } AS items
  UNION ALL
  RETURN 'SIMILAR_TO' AS type, 'out' AS direction, COUNT { (n)-[:SIMILAR_TO]->() } AS total,
         COLLECT { MATCH (n)-[r:SIMILAR_TO]->(m) RETURN {label: labels(m)[0], id: m.id, node: m {.title, .name, .text, .value}, relation: r {.at, .weight, .rating}} ORDER BY r.weight DESC LIMIT $cap } AS items
  UNION ALL
  RETURN 'SIMILAR_TO' AS type, 'in' AS direction, COUNT { (n)<-[:SIMILAR_TO]-() } AS total,
         COLLECT { MATCH (n)<-[r:SIMILAR_TO]-(m) RETURN {label: labels(m)[0], id: m.id, node: m {.title, .name, .text, .value}, relation: r {.at, .weight, .rating}} ORDER BY r.weight DESC LIMIT $cap } AS items
}
WITH type, direction, total, items WHERE total > 0
RETURN collect({type: type, direction: direction, total: total, items: items}) AS groups
