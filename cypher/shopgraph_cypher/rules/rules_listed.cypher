// name: rules_listed
// mode: read
// params: now
// returns: rules
// All rules with what they are about, those in force or still to come first, then the latest first.
CYPHER 25
OPTIONAL MATCH (r:Rule)
OPTIONAL MATCH (r)-[:ABOUT]->(t)
WITH r, t, r.ended_at IS NULL AND (r.ends IS NULL OR r.ends > $now) AS open
ORDER BY open DESC, r.made_at DESC, r.id
RETURN collect(CASE WHEN r IS NOT NULL THEN r {.*, open: open, in_force: open AND r.starts <= $now,
                                               title: coalesce(t.title, t.name, r.target)} END) AS rules
