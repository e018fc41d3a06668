// name: load_product
// mode: write
// params: rows, defaults, never, source, run
// returns: rows
// Merges products: new ones get the defaults, named ones are on sale, and what a curator has set (`curated`) stays.
CYPHER 25
UNWIND $rows AS row
MERGE (p:Product {id: row.id})
ON CREATE SET p += $defaults, p.first_seen = datetime({epochMillis: row.first_seen})
ON MATCH SET p.retired_at = $never, p.first_seen = CASE
  WHEN p.first_seen.epochMillis <= row.first_seen THEN p.first_seen
  ELSE datetime({epochMillis: row.first_seen})
END
SET p += CASE WHEN p.curated IS NULL THEN row.values ELSE {} END, p.source = $source, p.run = $run
FOREACH (name IN CASE WHEN p.curated IS NULL THEN [] ELSE [key IN keys(row.values) WHERE NOT key IN p.curated] END |
  SET p[name] = row.values[name]
)
RETURN count(*) AS rows
