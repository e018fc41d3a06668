// name: ranked_events
// mode: read
// params: users, as_of
// returns: ids, counts
// How many events each user has before a moment that may change what is ranked for them, see `serving_state`: one that
// comes later, or late, is one more than these.
CYPHER 25
UNWIND $users AS id
MATCH (u:User {id: id})
WITH u, COUNT { (u)-[e:PURCHASED|VIEWED|SEARCHED|RATED|PUT_IN_BASKET|TOOK_FROM_BASKET|HID|UNHID]->() WHERE e.at < $as_of } AS events
RETURN collect(u.id) AS ids, collect(events) AS counts
