// name: ranked_switched
// mode: write
// params: release, slot, run, as_of
// returns: id
// Lets a slot's lists be used from now on; nothing where another release serves by now.
CYPHER 25
MATCH (r:Release {id: $release, active: true})
SET r.ranked_slot = $slot, r.ranked_run = $run, r.ranked_as_of = $as_of
RETURN r.id AS id
