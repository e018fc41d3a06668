// name: serving_state
// mode: read
// params: user, session, scenario, as_of, meaning
// returns: as_of, release, slots, versions, known_until, known, active, interest, hidden, has_variants, own, rules, experiments
// What a recommendation stands on: the moment before which events count, the release with its slots and versions by
// family, the newest events that derived values and vectors carry, whether the user is known and has done anything before
// then, the products that the user or the session shows interest in, strongest first, those that either has hidden, what
// the user bought, line by line (amounts are NaN where none is stated), whether any product says what it is a variant of,
// the rules in force and the experiment that runs at a place.
// `as_of` is null where the moment is just after the newest event of any source. `meaning` says, by relation type, what
// an event weighs and for how many seconds it steers.
CYPHER 25
OPTIONAL MATCH (source:Source)
WITH coalesce($as_of, max(source.newest_event_at) + duration({milliseconds: 1}), datetime()) AS as_of
OPTIONAL MATCH (r:Release {active: true})
OPTIONAL MATCH (u:User {id: $user})
OPTIONAL MATCH (s:Session {id: $session})
CALL (u, s, as_of) {
  UNWIND [u, s] AS who
  MATCH (who)-[e:VIEWED|RATED|PUT_IN_BASKET|TOOK_FROM_BASKET]->(p:Product)
  WHERE e.at < as_of AND e.at >= as_of - duration({seconds: $meaning[type(e)].seconds})
  WITH p, e.at AS at, $meaning[type(e)].weight * CASE type(e) WHEN 'RATED' THEN (e.rating - 3) / 2 ELSE 1 END AS weight,
       1 - (as_of.epochSeconds - e.at.epochSeconds) / toFloat($meaning[type(e)].seconds) AS left
  WITH p, max(at) AS last, sum(weight * left) AS strength
  WHERE strength > 0
  ORDER BY strength DESC, last DESC, p.id
  LIMIT 20
  RETURN collect(p.id) AS interest
}
CALL (u, s, as_of) {
  UNWIND [u, s] AS who
  MATCH (who)-[h:HID]->(p:Product)
  WHERE h.at < as_of
  WITH who, p, max(h.at) AS hid
  WHERE NOT EXISTS { (who)-[back:UNHID]->(p) WHERE back.at >= hid AND back.at < as_of }
  RETURN collect(DISTINCT p.id) AS hidden
}
CALL (u, as_of) {
  MATCH (u)-[b:PURCHASED]->(p:Product)
  WHERE b.at < as_of
  RETURN {products: collect(p.id), times_ms: collect(b.at.epochMillis), quantities: collect(coalesce(b.quantity, 1)),
          amounts: collect(coalesce(b.amount, toFloat('NaN'))), discounts: collect(coalesce(b.discount, 0.0))} AS own
}
RETURN as_of, r.id AS release,
       COLLECT { MATCH (r)-[n:NAMES]->(:ModelVersion) RETURN [n.family, n.slot] } AS slots,
       COLLECT { MATCH (r)-[n:NAMES]->(v:ModelVersion) RETURN [n.family, v.id] } AS versions,
       COLLECT { MATCH (d:Derivation) RETURN d.newest_event_at AS at
                 UNION
                 MATCH (r)-[:NAMES]->(v:ModelVersion) RETURN v.newest_event_at AS at }
         + [CASE r.graph_slot WHEN 'blue' THEN u.graph_blue_until WHEN 'green' THEN u.graph_green_until END] AS known_until,
       u IS NOT NULL AS known,
       EXISTS { (u)-[b:PURCHASED|VIEWED]->(:Product) WHERE b.at < as_of } AS active,
       interest, hidden, EXISTS { MATCH (v:Product) WHERE v.variant_of > '' } AS has_variants, own,
       COLLECT { MATCH (rule:Rule)
                 WHERE rule.ended_at IS NULL AND rule.starts <= datetime() AND (rule.ends IS NULL OR rule.ends > datetime())
                   AND rule.scenario IN ['', $scenario]
                 RETURN rule {.id, .kind, .label, .target, .amount} ORDER BY rule.id } AS rules,
       COLLECT { MATCH (e:Experiment {running: $scenario}) RETURN e {.id, .name, .scenario, .kind, .variants} } AS experiments
