CYPHER 25 CREATE INDEX product_variant_of IF NOT EXISTS FOR (n:Product) ON (n.variant_of);
