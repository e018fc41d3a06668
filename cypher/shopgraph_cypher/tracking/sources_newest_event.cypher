// name: sources_newest_event
// mode: read
// params: -
// returns: at
// When the newest event of any source happened: "now" on the data's own clock.
CYPHER 25
MATCH (s:Source)
RETURN max(s.newest_event_at) AS at
