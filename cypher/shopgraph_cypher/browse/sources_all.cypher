// name: sources_all
// mode: read
// params: -
// returns: sources
// Where the graph's facts come from and on what terms.
CYPHER 25
MATCH (s:Source)
WITH s ORDER BY s.id
RETURN collect(s {.id, .title, .currency, .terms, .newest_event_at}) AS sources
