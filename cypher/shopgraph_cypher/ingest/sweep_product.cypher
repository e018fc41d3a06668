// name: sweep_product
// mode: write
// params: source, run, at, never
// returns: retired
// Retires the products of a source that its run did not name; nothing is deleted.
CYPHER 25
MATCH (p:Product)
WHERE p.source = $source AND p.run <> $run AND p.retired_at = $never
SET p.retired_at = $at
RETURN count(*) AS retired
