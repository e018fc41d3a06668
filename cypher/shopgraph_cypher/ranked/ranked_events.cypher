// name: ranked_events
// mode: read
// params: users
// returns: ids, counts
// How many events each user has that may change what is ranked for them, of any time: see `serving_state`.
CYPHER 25
UNWIND $users AS id
MATCH (u:User {id: id})
WITH u, COUNT { (u)-[:PURCHASED|VIEWED|RATED|PUT_IN_BASKET|TOOK_FROM_BASKET|HID|UNHID]->() } AS events
RETURN collect(u.id) AS ids, collect(events) AS counts
