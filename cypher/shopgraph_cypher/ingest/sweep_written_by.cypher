// name: sweep_written_by
// mode: write
// params: source, run, limit
// returns: removed
// Removes at most `limit` WRITTEN_BY of a source that its run did not state again; a curator's stay.
CYPHER 25
MATCH (p:Product)-[r:WRITTEN_BY]->(:Author)
WHERE r.source = $source AND r.run <> $run AND NOT 'WRITTEN_BY' IN coalesce(p.curated, [])
WITH r
LIMIT $limit
DELETE r
RETURN count(*) AS removed
