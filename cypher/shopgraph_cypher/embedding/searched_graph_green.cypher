// name: searched_graph_green
// mode: read
// params: vector, limit
// returns: ids, scores
// The nearest products in the green slot of the graph family, whether it serves or not: what a publish checks an index with.
CYPHER 25
MATCH (p:Product)
SEARCH p IN (VECTOR INDEX product_graph_green FOR $vector LIMIT $limit) SCORE AS score
RETURN collect(p.id) AS ids, collect(score) AS scores
