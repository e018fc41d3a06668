// name: newcomers_looked_for
// mode: read
// params: release
// returns: counts
// The graph's counts when a release's newcomers were last looked for; empty when they have to be looked for anew.
CYPHER 25
OPTIONAL MATCH (r:Release {id: $release})
RETURN coalesce(r.newcomers_counts, []) AS counts
