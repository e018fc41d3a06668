// name: sweep_in_category
// mode: write
// params: source, run, limit
// returns: removed
// Removes at most `limit` IN_CATEGORY of a source that its run did not state again; a curator's stay.
CYPHER 25
MATCH (p:Product)-[r:IN_CATEGORY]->(:Category)
WHERE r.source = $source AND r.run <> $run AND NOT 'IN_CATEGORY' IN coalesce(p.curated, [])
WITH r
LIMIT $limit
DELETE r
RETURN count(*) AS removed
