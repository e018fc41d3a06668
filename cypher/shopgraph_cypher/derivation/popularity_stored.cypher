// name: popularity_stored
// mode: read
// params: -
// returns: ids, counts
// Every product's id and its popularity as it stands (-1 where none was derived), in one record.
CYPHER 25
MATCH (p:Product)
RETURN collect(p.id) AS ids, collect(coalesce(p.popularity, -1)) AS counts
