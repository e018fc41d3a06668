// name: events_noted
// mode: write
// params: id, newest_event_at, sessions, seen_at
// returns: newest_event_at
// Notes how far the events of a source go, which never goes back, and when each session was last seen.
CYPHER 25
MERGE (s:Source {id: $id})
ON CREATE SET s.title = 'Events of ' + $id, s.terms = '', s.full_catalogue = false, s.source = $id
SET s.newest_event_at = CASE
      WHEN s.newest_event_at IS NULL OR s.newest_event_at < $newest_event_at THEN $newest_event_at
      ELSE s.newest_event_at
    END
WITH s
CALL () {
  UNWIND $sessions AS session
  MATCH (v:Session {id: session})
  SET v.seen_at = $seen_at
}
RETURN s.newest_event_at AS newest_event_at
