CYPHER 25 CREATE CONSTRAINT experiment_id_unique IF NOT EXISTS FOR (n:Experiment) REQUIRE n.id IS UNIQUE;
CYPHER 25 CREATE CONSTRAINT experiment_running_unique IF NOT EXISTS FOR (n:Experiment) REQUIRE n.running IS UNIQUE;
CYPHER 25 CREATE CONSTRAINT recommendation_id_unique IF NOT EXISTS FOR (n:Recommendation) REQUIRE n.id IS UNIQUE;
CYPHER 25 CREATE INDEX recommendation_experiment IF NOT EXISTS FOR (n:Recommendation) ON (n.experiment);
CYPHER 25 CREATE INDEX recommendation_kept_at IF NOT EXISTS FOR (n:Recommendation) ON (n.kept_at);
CYPHER 25 CREATE INDEX viewed_recommendation_id IF NOT EXISTS FOR ()-[r:VIEWED]-() ON (r.recommendation_id);
CYPHER 25 CREATE INDEX put_in_basket_recommendation_id IF NOT EXISTS FOR ()-[r:PUT_IN_BASKET]-() ON (r.recommendation_id);
CYPHER 25 CREATE INDEX purchased_recommendation_id IF NOT EXISTS FOR ()-[r:PURCHASED]-() ON (r.recommendation_id);
