CYPHER 25 CREATE FULLTEXT INDEX product_text IF NOT EXISTS FOR (n:Product) ON EACH [n.title, n.description];
CYPHER 25 CREATE FULLTEXT INDEX catalogue_name IF NOT EXISTS FOR (n:Brand|Author|Category) ON EACH [n.name];
