// name: sweep_has_attribute
// mode: write
// params: source, run, limit
// returns: removed
// Removes at most `limit` HAS_ATTRIBUTE of a source that its run did not state again; a curator's stay.
CYPHER 25
MATCH (p:Product)-[r:HAS_ATTRIBUTE]->(:Attribute)
WHERE r.source = $source AND r.run <> $run AND NOT 'HAS_ATTRIBUTE' IN coalesce(p.curated, [])
WITH r
LIMIT $limit
DELETE r
RETURN count(*) AS removed
