// name: reasons
// mode: read
// params: user, as_of, items, own, via
// returns: facts, near, viewed
// What reasons are made of: each item with its title and what it shares with others; the products that could speak for
// the items, with what each leads to now, as pairs of a relation and an id; and those of them that the user only viewed.
// `own` are products the user bought, the first of which speak loudest; `via` those that a source named.
CYPHER 25
UNWIND $items AS item
MATCH (i:Product {id: item})
WITH collect(i) AS shown,
     collect({id: i.id, title: i.title, popularity: coalesce(i.popularity, 0),
              shared: COLLECT { MATCH (i)-[r:WRITTEN_BY|IN_CATEGORY|MADE_BY|HAS_ATTRIBUTE]->(s)
                                RETURN [type(r), s.id, coalesce(s.name, s.value), s.key] }}) AS facts
WITH facts, shown, $via + $own AS speaking, size($via) + 10 AS of_attributes
RETURN facts,
       COLLECT { UNWIND range(0, size(speaking) - 1) AS place
                 MATCH (p:Product {id: speaking[place]})
                 RETURN {id: p.id, title: p.title,
                         leads: COLLECT { MATCH (p)-[r:BOUGHT_WITH|WRITTEN_BY|IN_CATEGORY|MADE_BY|HAS_ATTRIBUTE]->(s)
                                          WHERE CASE type(r) WHEN 'BOUGHT_WITH' THEN s IN shown
                                                             WHEN 'HAS_ATTRIBUTE' THEN place < of_attributes
                                                             ELSE true END
                                          RETURN [type(r), s.id] }} } AS near,
       COLLECT { MATCH (:User {id: $user})-[v:VIEWED]->(p:Product)
                 WHERE p.id IN $via AND v.at < $as_of
                 RETURN DISTINCT p.id } AS viewed
