// name: counted_graph_blue
// mode: read
// params: parts, vector
// returns: expected, found
// How many of each part's products (a category, a range of brands, at most 10,000) the index of the slot answers with.
CYPHER 25
UNWIND $parts AS part
CALL (part) {
  MATCH (p:Product)
  SEARCH p IN (VECTOR INDEX product_graph_blue FOR $vector
               WHERE p.category_2 = part.category AND p.brand_id >= part.first AND p.brand_id <= part.last
               LIMIT 10000)
  RETURN count(p) AS found
}
RETURN sum(part.count) AS expected, sum(found) AS found
