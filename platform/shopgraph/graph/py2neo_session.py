"""The same server through py2neo, for notebooks that speak it; the product itself uses the named queries alone.

py2neo 2021.2.4 is its last release. It reads and writes this server over Bolt; it knows neither vectors on the wire nor
Cypher 25's types, so learned properties arrive as lists of floats.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import py2neo
from py2neo.errors import ClientError, ConnectionUnavailable

from shopgraph.errors import QueryError, ServiceError


class Py2neoSession:
    """Reads and writes by Cypher text, and hands out py2neo's own `Graph` for everything else.

    Args:
        uri: Bolt address, e.g. `bolt://127.0.0.1:7687`.
        auth: user and password.
        database: name of the database.

    Raises:
        ServiceError: the server can't be reached or refuses the password.
    """

    def __init__(self, uri: str, auth: tuple[str, str], database: str) -> None:
        try:
            self.graph = py2neo.Graph(uri, auth=auth, name=database)
        except (ConnectionUnavailable, ClientError, OSError) as error:
            raise ServiceError(f"Neo4j at {uri} can't be reached through py2neo: {error}") from None

    def read(self, text: str, **params: Any) -> list[dict[str, Any]]:
        """Run a text in a read transaction; all its records. The server refuses one that writes."""
        return self._run(text, params, readonly=True)

    def write(self, text: str, **params: Any) -> list[dict[str, Any]]:
        """Run a text in a write transaction, committed as a whole or not at all."""
        return self._run(text, params, readonly=False)

    def _run(self, text: str, params: Mapping[str, Any], readonly: bool) -> list[dict[str, Any]]:
        transaction = self.graph.begin(readonly=readonly)
        try:
            records = transaction.run(text, dict(params)).data()
            self.graph.commit(transaction)
        except ClientError as error:
            raise QueryError(f"py2neo: {error.message}") from None
        return records
