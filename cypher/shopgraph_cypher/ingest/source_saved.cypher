// name: source_saved
// mode: write
// params: id, title, currency, terms, full_catalogue, newest_event_at, run
// returns: newest_event_at
// Notes a source after its feed was loaded; `newest_event_at` never goes back.
CYPHER 25
MERGE (s:Source {id: $id})
SET s.title = $title, s.currency = $currency, s.terms = $terms, s.full_catalogue = $full_catalogue,
    s.source = $id, s.run = $run,
    s.newest_event_at = CASE
      WHEN s.newest_event_at IS NULL OR s.newest_event_at < $newest_event_at THEN $newest_event_at
      ELSE s.newest_event_at
    END
RETURN s.newest_event_at AS newest_event_at
