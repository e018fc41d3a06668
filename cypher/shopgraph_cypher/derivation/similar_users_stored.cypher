// name: similar_users_stored
// mode: read
// params: -
// returns: id, ids, weights
// Every user's SIMILAR_TO neighbours as they stand, one record a user.
CYPHER 25
MATCH (u:User)-[b:SIMILAR_TO]->(o:User)
RETURN u.id AS id, collect(o.id) AS ids, collect(b.weight) AS weights
