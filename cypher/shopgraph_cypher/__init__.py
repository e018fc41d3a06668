"""The named Cypher queries, one a file, and the loader that refuses a file whose header and text disagree."""

from shopgraph_cypher.loader import MIGRATIONS, Query, QueryCatalogue, QueryFileError, load_queries, parse_query

__all__ = ["MIGRATIONS", "Query", "QueryCatalogue", "QueryFileError", "load_queries", "parse_query"]
