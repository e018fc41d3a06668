CYPHER 25 CREATE INDEX product_category_1 IF NOT EXISTS FOR (n:Product) ON (n.category_1);
CYPHER 25 CREATE INDEX product_category_1_popularity IF NOT EXISTS FOR (n:Product) ON (n.category_1, n.popularity);
