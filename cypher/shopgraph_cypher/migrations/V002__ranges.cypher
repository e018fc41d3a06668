CYPHER 25 CREATE INDEX product_popularity IF NOT EXISTS FOR (n:Product) ON (n.popularity);
CYPHER 25 CREATE INDEX product_retired_at IF NOT EXISTS FOR (n:Product) ON (n.retired_at);
CYPHER 25 CREATE INDEX product_brand_id IF NOT EXISTS FOR (n:Product) ON (n.brand_id);
CYPHER 25 CREATE INDEX category_level IF NOT EXISTS FOR (n:Category) ON (n.level);
CYPHER 25 CREATE INDEX attribute_key IF NOT EXISTS FOR (n:Attribute) ON (n.key);
CYPHER 25 CREATE INDEX purchased_at IF NOT EXISTS FOR ()-[r:PURCHASED]-() ON (r.at);
CYPHER 25 CREATE INDEX run_started_at IF NOT EXISTS FOR (n:Run) ON (n.started_at);
CYPHER 25 CREATE INDEX release_active IF NOT EXISTS FOR (n:Release) ON (n.active);
