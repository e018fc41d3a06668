CYPHER 25 CREATE CONSTRAINT pseudonym_key_id_unique IF NOT EXISTS FOR (n:PseudonymKey) REQUIRE n.id IS UNIQUE;
