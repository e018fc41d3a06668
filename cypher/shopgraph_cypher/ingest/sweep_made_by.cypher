// name: sweep_made_by
// mode: write
// params: source, run, limit
// returns: removed
// Removes at most `limit` MADE_BY of a source that its run did not state again; a curator's stay.
CYPHER 25
MATCH (p:Product)-[r:MADE_BY]->(:Brand)
WHERE r.source = $source AND r.run <> $run AND NOT 'MADE_BY' IN coalesce(p.curated, [])
WITH r
LIMIT $limit
DELETE r
RETURN count(*) AS removed
