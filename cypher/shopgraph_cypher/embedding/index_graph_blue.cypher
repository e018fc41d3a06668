// name: index_graph_blue
// mode: schema
// params: -
// returns: -
// Indexes the blue slot of the graph family: exact floats, a wide construction beam, and the properties that may filter.
CYPHER 25
CREATE VECTOR INDEX product_graph_blue IF NOT EXISTS FOR (n:Product) ON n.graph_blue
WITH [n.price, n.stock, n.hidden, n.retired_at, n.brand_id, n.category_1, n.category_2, n.category_3]
OPTIONS {indexConfig: {`vector.dimensions`: 192, `vector.similarity_function`: 'cosine',
  `vector.quantization.enabled`: false, `vector.hnsw.ef_construction`: 200}}
