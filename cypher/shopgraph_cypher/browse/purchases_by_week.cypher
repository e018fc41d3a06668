// name: purchases_by_week
// mode: read
// params: starts
// returns: weeks
// Order lines of the seven days from each start, counted in the index; as slow as there are lines, so its answer is kept.
CYPHER 25
UNWIND $starts AS start
CALL (start) {
  MATCH ()-[r:PURCHASED]->()
  WHERE r.at >= start AND r.at < start + duration({days: 7})
  RETURN count(r) AS lines
}
RETURN collect({start: start, lines: lines}) AS weeks
