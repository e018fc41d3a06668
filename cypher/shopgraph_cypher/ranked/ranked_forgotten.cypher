// name: ranked_forgotten
// mode: write
// params: -
// returns: releases
// Lets no list be used that was ranked ahead; who asks is answered live until the next are made.
CYPHER 25
MATCH (r:Release)
WHERE r.ranked_slot IS NOT NULL
SET r.ranked_slot = null, r.ranked_run = null, r.ranked_as_of = null
RETURN count(r) AS releases
