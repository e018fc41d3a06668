// name: experiment_outcomes
// mode: read
// params: experiment, window_hours
// returns: rows
// What users did with what an experiment showed them: rows of [variant, viewed, put in basket, bought, and by the first and
// by the second of two interleaved lists each of the three, users, their answers], equal users counted together. What counts
// is a product of an answer, once: by an event that names the answer, or that names none and is the same user's or visit's,
// within so many hours of the last of these answers that showed the product.
CYPHER 25
MATCH (r:Recommendation {experiment: $experiment})
WITH r
ORDER BY r.at
WITH r.who AS who, r.variant AS variant, collect(r) AS answers
CALL (who, answers) {
  CALL (who, answers) {
    UNWIND answers AS r
    MATCH ()-[:VIEWED {recommendation_id: r.id}]->(p:Product)
    RETURN r, 'VIEWED' AS kind, p.id AS item
    UNION ALL
    UNWIND answers AS r
    MATCH ()-[:PUT_IN_BASKET {recommendation_id: r.id}]->(p:Product)
    RETURN r, 'PUT_IN_BASKET' AS kind, p.id AS item
    UNION ALL
    UNWIND answers AS r
    MATCH ()-[:PURCHASED {recommendation_id: r.id}]->(p:Product)
    RETURN r, 'PURCHASED' AS kind, p.id AS item
    UNION ALL
    MATCH (:User {id: who})-[e:VIEWED|PUT_IN_BASKET|PURCHASED]->(p:Product)
    WHERE e.recommendation_id IS NULL AND e.at >= head(answers).at
    RETURN last([r IN answers WHERE p.id IN r.items AND r.at <= e.at
                 AND e.at < r.at + duration({hours: $window_hours})]) AS r, type(e) AS kind, p.id AS item
    UNION ALL
    MATCH (:Session {id: who})-[e:VIEWED|PUT_IN_BASKET|PURCHASED]->(p:Product)
    WHERE e.recommendation_id IS NULL AND e.at >= head(answers).at
    RETURN last([r IN answers WHERE p.id IN r.items AND r.at <= e.at
                 AND e.at < r.at + duration({hours: $window_hours})]) AS r, type(e) AS kind, p.id AS item
  }
  WITH DISTINCT r, kind, item
  WHERE item IN r.items
  WITH kind, head([place IN range(0, size(r.teams) - 1) WHERE r.items[place] = item | r.teams[place]]) AS team
  WITH collect([kind, team]) AS done
  RETURN [kind IN ['VIEWED', 'PUT_IN_BASKET', 'PURCHASED'] | size([each IN done WHERE each[0] = kind])]
       + [kind IN ['VIEWED', 'PUT_IN_BASKET', 'PURCHASED'] | size([each IN done WHERE each[0] = kind AND each[1] = 0])]
       + [kind IN ['VIEWED', 'PUT_IN_BASKET', 'PURCHASED'] | size([each IN done WHERE each[0] = kind AND each[1] = 1])] AS counts
}
WITH variant, counts, count(*) AS users, sum(size(answers)) AS shown
RETURN collect([variant, counts, users, shown]) AS rows
