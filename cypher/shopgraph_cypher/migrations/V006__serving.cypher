CYPHER 25 CREATE CONSTRAINT derivation_id_unique IF NOT EXISTS FOR (n:Derivation) REQUIRE n.id IS UNIQUE;
CYPHER 25 CREATE CONSTRAINT slot_id_unique IF NOT EXISTS FOR (n:Slot) REQUIRE n.id IS UNIQUE;
CYPHER 25 CREATE CONSTRAINT lease_id_unique IF NOT EXISTS FOR (n:Lease) REQUIRE n.id IS UNIQUE;
CYPHER 25 CREATE INDEX product_category_1_popularity IF NOT EXISTS FOR (n:Product) ON (n.category_1, n.popularity);
CYPHER 25 CREATE INDEX product_category_2_popularity IF NOT EXISTS FOR (n:Product) ON (n.category_2, n.popularity);
CYPHER 25 CREATE INDEX product_category_3_popularity IF NOT EXISTS FOR (n:Product) ON (n.category_3, n.popularity);
