CYPHER 25 CREATE INDEX doubt_verdict IF NOT EXISTS FOR (n:Doubt) ON (n.verdict);
