CYPHER 25 CREATE INDEX product_hidden IF NOT EXISTS FOR (n:Product) ON (n.hidden);
