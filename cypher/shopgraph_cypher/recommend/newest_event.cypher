// name: newest_event
// mode: read
// params: -
// returns: at
// The newest event of any source: "now" where the clock follows the data.
CYPHER 25
MATCH (s:Source)
RETURN max(s.newest_event_at) AS at
