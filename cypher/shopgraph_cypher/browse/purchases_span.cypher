// name: purchases_span
// mode: read
// params: -
// returns: total, newest
// How many order lines there are and when the newest was bought; both without a walk.
CYPHER 25
CALL () { MATCH ()-[r:PURCHASED]->() RETURN count(r) AS total }
CALL () {
  OPTIONAL MATCH ()-[r:PURCHASED]->()
  WHERE r.at IS NOT NULL
  RETURN r.at AS newest ORDER BY r.at DESC LIMIT 1
}
RETURN total, newest
