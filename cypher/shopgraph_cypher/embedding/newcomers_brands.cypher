// name: newcomers_brands
// mode: read
// params: -
// returns: names
// The names of all brands, in no order: which of them are codes in a product's text is told by how many are alike.
CYPHER 25
MATCH (b:Brand)
RETURN collect(b.name) AS names
