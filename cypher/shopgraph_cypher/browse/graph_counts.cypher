// name: graph_counts
// mode: read
// params: -
// returns: nodes, relations
// How many nodes each label and how many relations each type has, all from the count store.
CYPHER 25
CALL () { MATCH (n:Product) RETURN count(n) AS product }
CALL () { MATCH (n:User) RETURN count(n) AS user }
CALL () { MATCH (n:Brand) RETURN count(n) AS brand }
CALL () { MATCH (n:Author) RETURN count(n) AS author }
CALL () { MATCH (n:Category) RETURN count(n) AS category }
CALL () { MATCH (n:Attribute) RETURN count(n) AS attribute }
CALL () { MATCH (n:SearchTerm) RETURN count(n) AS search_term }
CALL () { MATCH ()-[r:PURCHASED]->() RETURN count(r) AS purchased }
CALL () { MATCH ()-[r:VIEWED]->() RETURN count(r) AS viewed }
CALL () { MATCH ()-[r:SEARCHED]->() RETURN count(r) AS searched }
CALL () { MATCH ()-[r:RATED]->() RETURN count(r) AS rated }
CALL () { MATCH ()-[r:MADE_BY]->() RETURN count(r) AS made_by }
CALL () { MATCH ()-[r:WRITTEN_BY]->() RETURN count(r) AS written_by }
CALL () { MATCH ()-[r:IN_CATEGORY]->() RETURN count(r) AS in_category }
CALL () { MATCH ()-[r:CHILD_OF]->() RETURN count(r) AS child_of }
CALL () { MATCH ()-[r:HAS_ATTRIBUTE]->() RETURN count(r) AS has_attribute }
CALL () { MATCH ()-[r:BOUGHT_WITH]->() RETURN count(r) AS bought_with }
CALL () { MATCH ()-[r:SIMILAR_TO]->() RETURN count(r) AS similar_to }
RETURN {
  Product: product,
  User: user,
  Brand: brand,
  Author: author,
  Category: category,
  Attribute: attribute,
  SearchTerm: search_term
} AS nodes, {
  PURCHASED: purchased,
  VIEWED: viewed,
  SEARCHED: searched,
  RATED: rated,
  MADE_BY: made_by,
  WRITTEN_BY: written_by,
  IN_CATEGORY: in_category,
  CHILD_OF: child_of,
  HAS_ATTRIBUTE: has_attribute,
  BOUGHT_WITH: bought_with,
  SIMILAR_TO: similar_to
} AS relations
