// name: index_text_green
// mode: schema
// params: -
// returns: -
// Indexes the green slot of the text family: exact floats, a wide construction beam, and the properties that may filter.
CYPHER 25
CREATE VECTOR INDEX product_text_green IF NOT EXISTS FOR (n:Product) ON n.text_green
WITH [n.price, n.stock, n.hidden, n.retired_at, n.brand_id, n.category_1, n.category_2, n.category_3]
OPTIONS {indexConfig: {`vector.dimensions`: 128, `vector.similarity_function`: 'cosine',
  `vector.quantization.enabled`: false, `vector.hnsw.ef_construction`: 200}}
