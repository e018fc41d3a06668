// name: serving_state
// mode: read
// params: user, session, scenario, as_of, meaning, kind, limit, without, categories, min_price, max_price
// returns: as_of, release, slots, versions, known_until, known, active, interest, seen, searches, disliked, hidden, has_variants, has_newcomers, own, wrong, rules, experiments, length, items
// What a recommendation stands on: the moment before which events count, the release with its slots and versions by
// family, the newest event that derived values and vectors carry, whether the user is known and has done anything before
// then, the twenty products that the user or the session shows most interest in, strongest first, all that either shows
// interest in, the three terms that either searched last, those whose last rating by either is below 3, those that either
// has hidden, what the user bought, line by line (amounts are NaN where none is stated), whether any product says what it
// is a variant of, whether products came into the release's graph slot since it serves, the relations that were judged
// wrong reasons, the rules in force and the experiment that runs at a place. Moments are seconds since 1970 UTC and
// nanoseconds. `as_of` is null where the moment is just after the newest event of any source. `meaning` says, by relation
// type, what an event weighs and for how many seconds it steers.
// Where the serving release has a list of a `kind` that was ranked ahead for the user within two days, who has done nothing
// since, the answer stands on that: of the user nothing is told but the first `limit` products of the list, of those that may be shown
// now and pass, each with its line's parts, the names of what its reason goes through and whether that path is there now.
// `length` is null where there is no such list.
CYPHER 25
OPTIONAL MATCH (r:Release {active: true})
OPTIONAL MATCH (asking:User {id: $user})
WITH r, asking, split(asking[$kind + '_' + r.ranked_slot], '\n') AS lines,
     coalesce($as_of, COLLECT { MATCH (source:Source) WHERE source.newest_event_at IS NOT NULL
                                RETURN source.newest_event_at + duration({milliseconds: 1}) AS at
                                ORDER BY at DESC LIMIT 1 }[0], datetime()) AS now
WITH r, asking, now,
     CASE WHEN r.ranked_as_of > now - duration({days: 2}) AND lines[0] = r.ranked_run + '\u001F' + toString(
            COUNT { (asking)-[:PURCHASED|VIEWED|SEARCHED|RATED|PUT_IN_BASKET|TOOK_FROM_BASKET|HID|UNHID]->() }) THEN lines END AS lines
WITH r, lines, asking IS NOT NULL AS known, CASE WHEN lines IS NULL THEN asking END AS u,
     CASE WHEN lines IS NOT NULL THEN r.ranked_as_of ELSE now END AS as_of
OPTIONAL MATCH (s:Session {id: $session})
CALL (lines) {
  UNWIND range(1, coalesce(size(lines), 0) - 1) AS place
  WITH split(lines[place], '\u001F') AS part
  MATCH (p:Product {id: part[0]})
  WHERE NOT p.hidden AND p.stock > 0 AND p.retired_at > datetime() AND NOT p.id IN $without
    AND (size($categories) = 0 OR p.category_1 IN $categories OR p.category_2 IN $categories
         OR p.category_3 IN $categories)
    AND ($min_price IS NULL OR p.price >= $min_price) AND ($max_price IS NULL OR p.price <= $max_price)
  WITH p, part
  LIMIT $limit
  OPTIONAL MATCH (near:Product {id: part[4]})
  OPTIONAL MATCH (p)-[w:WRITTEN_BY|IN_CATEGORY|MADE_BY|HAS_ATTRIBUTE]->(s)
  WHERE type(w) = part[3] AND s.id = part[5]
  RETURN collect([part, p.title, coalesce(p.popularity, 0), near.title, coalesce(s.name, s.value), s.key,
                  CASE part[3]
                  WHEN 'BOUGHT_WITH' THEN EXISTS { (near)-[:BOUGHT_WITH]->(p) }
                  ELSE EXISTS { (near)-[x:WRITTEN_BY|IN_CATEGORY|MADE_BY|HAS_ATTRIBUTE]->(s) WHERE type(x) = part[3] }
                  END]) AS items
}
CALL (u, s, as_of) {
  UNWIND [u, s] AS who
  MATCH (who)-[e:VIEWED|RATED|PUT_IN_BASKET|TOOK_FROM_BASKET]->(p:Product)
  WHERE e.at < as_of AND e.at >= as_of - duration({seconds: $meaning[type(e)].seconds})
  WITH p, e.at AS at, $meaning[type(e)].weight * CASE type(e) WHEN 'RATED' THEN (e.rating - 3) / 2 ELSE 1 END AS weight,
       1 - (as_of.epochSeconds - e.at.epochSeconds) / toFloat($meaning[type(e)].seconds) AS left
  WITH p, max(at) AS last, sum(weight * left) AS strength
  WHERE strength > 0
  ORDER BY strength DESC, last DESC, p.id
  WITH collect(p.id) AS seen
  RETURN seen[..20] AS interest, seen
}
CALL (u, s, as_of) {
  UNWIND [u, s] AS who
  MATCH (who)-[e:SEARCHED]->(t:SearchTerm)
  WHERE e.at < as_of AND e.at >= as_of - duration({seconds: $meaning.SEARCHED.seconds})
  WITH t, max(e.at) AS last
  ORDER BY last DESC, t.id
  LIMIT 3
  RETURN collect(coalesce(t.text, t.id)) AS searches
}
CALL (u, s, as_of) {
  UNWIND [u, s] AS who
  MATCH (who)-[e:RATED]->(p:Product)
  WHERE e.at < as_of
  WITH p, e
  ORDER BY e.at DESC, e.rating
  WITH p, head(collect(e.rating)) AS rating
  WHERE rating < 3
  RETURN collect(p.id) AS disliked
}
CALL (u, s, as_of) {
  UNWIND [u, s] AS who
  MATCH (who)-[h:HID]->(p:Product)
  WHERE h.at < as_of
  WITH p, max(h.at) AS hid
  WHERE NOT EXISTS { (u)-[back:UNHID]->(p) WHERE back.at > hid AND back.at < as_of }
    AND NOT EXISTS { (s)-[back:UNHID]->(p) WHERE back.at > hid AND back.at < as_of }
  RETURN collect(p.id) AS hidden
}
CALL (u, as_of) {
  MATCH (u)-[b:PURCHASED]->(p:Product)
  WHERE b.at < as_of
  RETURN {products: collect(p.id), times_ms: collect(b.at.epochMillis), quantities: collect(coalesce(b.quantity, 1)),
          amounts: collect(coalesce(b.amount, toFloat('NaN'))), discounts: collect(coalesce(b.discount, 0.0))} AS own
}
RETURN [as_of.epochSeconds, as_of.nanosecond] AS as_of, r.id AS release,
       COLLECT { MATCH (r)-[n:NAMES]->(:ModelVersion) RETURN [n.family, n.slot] } AS slots,
       COLLECT { MATCH (r)-[n:NAMES]->(v:ModelVersion) RETURN [n.family, v.id] } AS versions,
       COLLECT { CALL (r, u) { MATCH (d:Derivation) RETURN d.newest_event_at AS at
                               UNION
                               MATCH (r)-[:NAMES]->(v:ModelVersion) RETURN v.newest_event_at AS at
                               UNION
                               RETURN CASE r.graph_slot WHEN 'blue' THEN u.graph_blue_until
                                                        WHEN 'green' THEN u.graph_green_until END AS at }
                 WITH at WHERE at IS NOT NULL
                 RETURN [at.epochSeconds, at.nanosecond] ORDER BY at DESC LIMIT 1 }[0] AS known_until,
       known,
       EXISTS { (u)-[b:PURCHASED|VIEWED]->(:Product) WHERE b.at < as_of } AS active,
       interest, seen, searches, disliked, hidden, EXISTS { MATCH (v:Product) WHERE v.variant_of > '' } AS has_variants,
       EXISTS { MATCH (:Slot {id: 'graph_' + r.graph_slot, has_newcomers: true}) } AS has_newcomers, own,
       COLLECT { MATCH (d:Doubt {verdict: 'wrong'}) RETURN d.id } AS wrong,
       COLLECT { MATCH (rule:Rule)
                 WHERE rule.ended_at IS NULL AND rule.starts <= datetime() AND (rule.ends IS NULL OR rule.ends > datetime())
                   AND rule.scenario IN ['', $scenario]
                 RETURN rule {.id, .kind, .label, .target, .amount} ORDER BY rule.id } AS rules,
       COLLECT { MATCH (e:Experiment {running: $scenario}) RETURN e {.id, .name, .scenario, .kind, .variants} } AS experiments,
       size(lines) - 1 AS length, items
