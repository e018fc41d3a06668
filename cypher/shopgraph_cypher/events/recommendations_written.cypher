// name: recommendations_written
// mode: write
// params: rows
// returns: written
// Keeps what was shown, rows of [id, label, user or session, for which moment, scenario, experiment, variant, products,
// teams, when it arrived], moments in milliseconds; an answer already there is left alone.
CYPHER 25
UNWIND $rows AS row
MERGE (r:Recommendation {id: row[0]})
ON CREATE SET r.label = row[1], r.who = row[2], r.at = datetime({epochMillis: row[3]}), r.scenario = row[4],
              r.experiment = row[5], r.variant = row[6], r.items = row[7], r.teams = row[8],
              r.kept_at = datetime({epochMillis: row[9]})
RETURN count(*) AS written
