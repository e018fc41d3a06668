// name: pseudonym_key_noted
// mode: write
// params: fingerprint
// returns: fingerprint
// The fingerprint of the key this graph's users are named with; a graph without users takes the one given.
CYPHER 25
MERGE (k:PseudonymKey {id: 'current'})
ON CREATE SET k.fingerprint = $fingerprint
WITH k, EXISTS { (:User) } AS has_users
SET k.fingerprint = CASE WHEN has_users THEN k.fingerprint ELSE $fingerprint END
RETURN k.fingerprint AS fingerprint
