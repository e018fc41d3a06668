// name: user_slot_audited
// mode: read
// params: key, dimension
// returns: count, wrong_length, least_norm, greatest_norm
// Counts the users that carry a slot's vector, and measures the vectors' lengths and norms as stored.
CYPHER 25
MATCH (n:User)
WITH n[$key] AS vector
WHERE vector IS NOT NULL
WITH vector, sqrt(reduce(total = 0.0, x IN vector | total + x * x)) AS norm
RETURN count(vector) AS count, sum(CASE WHEN size(vector) = $dimension THEN 0 ELSE 1 END) AS wrong_length,
       coalesce(min(norm), 0.0) AS least_norm, coalesce(max(norm), 0.0) AS greatest_norm
