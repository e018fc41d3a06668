"""One driver a process; runs named queries, and tries again where a server says that this may help."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from types import TracebackType
from typing import Any

import neo4j
import numpy as np
from neo4j.exceptions import AuthError, ClientError, DriverError, Neo4jError, ServiceUnavailable
from neo4j.vector import Vector

from shopgraph.errors import OverdueError, QueryError, ServiceError
from shopgraph_cypher import Query, QueryCatalogue

MINIMUM_VERSION = (2026, 1)
"""The first server whose Cypher 25 has `SEARCH ... IN (VECTOR INDEX ...)`."""

SCHEMES = ("bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc")

_DATABASE_CLOSED = ("database is not currently available", "needs to be restarted")
"""What a server says that listens and has closed its database; its codes are those of other, passing troubles too."""

_TIMED_OUT = {f"Neo.ClientError.Transaction.TransactionTimedOut{setting}" for setting in ("", "ClientConfiguration")}
"""A server that is busy, not a query that is wrong."""

Record = dict[str, Any]


class Graph:
    """A Neo4j database reached through the named queries.

    Open it after a fork, close it in the process that opened it.

    Args:
        uri: Bolt address, e.g. `bolt://127.0.0.1:7687`.
        auth: user and password.
        database: name of the database.
        queries: the catalogue the names are looked up in.
        timeout_seconds: bound on connecting and on each server-side transaction.

    Raises:
        ServiceError: the server can't be reached, refuses the password, or is too old.
    """

    def __init__(
        self, uri: str, auth: tuple[str, str], database: str, queries: QueryCatalogue, timeout_seconds: float = 60.0
    ) -> None:
        self.uri = uri
        self.database = database
        self.queries = queries
        self._timeout_seconds = timeout_seconds
        self._lost = False
        if uri.partition("://")[0] not in SCHEMES:
            raise ServiceError(f"Neo4j's address {uri!r} can't be used: it begins with one of {', '.join(SCHEMES)}")
        try:
            self.driver = neo4j.GraphDatabase.driver(
                uri,
                auth=auth,
                connection_timeout=timeout_seconds,
                connection_acquisition_timeout=timeout_seconds,
                max_transaction_retry_time=timeout_seconds,
                notifications_min_severity="OFF",
                user_agent="shopgraph",
            )
        except (DriverError, ValueError) as error:
            raise ServiceError(f"Neo4j's address {uri!r} can't be used: {error}") from None
        try:
            self.version = self._require_version()
        except AuthError:
            self.driver.close()
            raise ServiceError(f"Neo4j at {uri} refuses the user {auth[0]!r}: check SHOPGRAPH_NEO4J_PASSWORD") from None
        except ServiceError:
            self.driver.close()
            raise
        except (ServiceUnavailable, DriverError, Neo4jError, OSError) as error:
            self.driver.close()
            raise ServiceError(f"Neo4j at {uri} can't be reached: {error}") from None

    def __enter__(self) -> Graph:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.driver.close()

    @property
    def lost(self) -> bool:
        """Whether the server did not answer when it was last asked."""
        return self._lost

    def read(self, name: str, /, **params: Any) -> list[Record]:
        """Run a read query; all its records."""
        return self._read(name, params, lambda found: [record.data() for record in found])

    def explain(self, name: str) -> None:
        """Have the server plan a read query, and not run it.

        Raises:
            QueryError: it can't be planned.
        """
        query = self.queries[name]
        with (
            self._told(query),
            self.driver.session(database=self.database, default_access_mode=neo4j.READ_ACCESS) as session,
        ):
            session.run(neo4j.Query(f"EXPLAIN {query.text}", timeout=self._timeout_seconds)).consume()

    def record(self, name: str, /, **params: Any) -> Record | None:
        """Run a read query that answers with at most one (wide) record."""
        found = self.read(name, **params)
        if len(found) > 1:
            raise QueryError(f"{name} answered with {len(found)} records where one was expected")
        return found[0] if found else None

    def wide(self, name: str, /, **params: Any) -> Record:
        """Run a read query that answers with exactly one record of long lists, handed out uncopied.

        `Record.data()` walks every element of every list in Python: ten times the cost of reading a million numbers.
        """
        found = self._read(name, params, lambda found: [dict(record.items()) for record in found])
        if len(found) != 1:
            raise QueryError(f"{name} answered with {len(found)} records where exactly one was expected")
        return found[0]

    def single(self, name: str, /, **params: Any) -> Record:
        """Run a read query that always answers with one (wide) record, such as a count.

        Raises:
            QueryError: it answered with none.
        """
        found = self.record(name, **params)
        if found is None:
            raise QueryError(f"{name} answered with no record where one was expected")
        return found

    def write(self, name: str, /, **params: Any) -> list[Record]:
        """Run a write query in one managed transaction; all its records."""
        query = self._query(name, "write", params)

        def work(tx: neo4j.ManagedTransaction) -> list[Record]:
            return [record.data() for record in tx.run(query.text, params)]

        with self._told(query), self.driver.session(database=self.database) as session:
            return session.execute_write(self._bounded(work))

    def write_batches(
        self, name: str, rows: Iterable[Any], /, batch_size: int = 5_000, **params: Any
    ) -> Iterator[tuple[int, list[Record]]]:
        """Send `rows` to a write query as `$rows`, one transaction a batch; yields rows sent and the records.

        A batch is all or nothing; after a failure the batches before it stay, so queries are written to be repeatable.
        """
        for batch in batched(rows, batch_size):
            yield len(batch), self.write(name, rows=batch, **params)

    def schema(self, name: str, /, **params: Any) -> list[Record]:
        """Run a schema query (auto-commit: schema and data changes can't share a transaction)."""
        query = self._query(name, "schema", params)
        with self._told(query), self.driver.session(database=self.database) as session:
            bounded = neo4j.Query(query.text, timeout=self._timeout_seconds)
            return [record.data() for record in session.run(bounded, params)]

    def _query(self, name: str, mode: str, params: dict[str, Any]) -> Query:
        query = self.queries[name]
        if query.mode != mode:
            raise QueryError(f"{name} is declared {query.mode} and was called to {mode}")
        if set(params) != set(query.params):
            raise QueryError(f"{name} takes {sorted(query.params)}, was given {sorted(params)}")
        return query

    def _read(
        self, name: str, params: dict[str, Any], handed_out: Callable[[neo4j.Result], list[Record]]
    ) -> list[Record]:
        """A read is one statement: it needs no transaction around it, which would double its round trips.

        One that fails passingly is repeated as a managed transaction, which tries again for as long as is due.
        """
        query = self._query(name, "read", params)
        with (
            self._told(query),
            self.driver.session(database=self.database, default_access_mode=neo4j.READ_ACCESS) as session,
        ):
            try:
                return handed_out(session.run(neo4j.Query(query.text, timeout=self._timeout_seconds), params))
            except (DriverError, Neo4jError) as error:
                if not error.is_retryable():
                    raise
                return session.execute_read(self._bounded(lambda tx: handed_out(tx.run(query.text, params))))

    def _bounded(self, work: Callable[[neo4j.ManagedTransaction], list[Record]]) -> Any:
        return neo4j.unit_of_work(timeout=self._timeout_seconds)(work)

    @contextmanager
    def _told(self, query: Query) -> Iterator[None]:
        """What the driver raises becomes ours. A server that was lost is looked for once before it is awaited again."""
        try:
            if self._lost:
                self.driver.verify_connectivity()
            yield
            self._lost = False
        except (ServiceUnavailable, DriverError) as error:
            self._lost = True
            raise ServiceError(
                f"Neo4j at {self.uri} stopped answering during {query.name}: {explained(error)}"
            ) from error
        except ClientError as error:
            if error.code in _TIMED_OUT:
                raise OverdueError(
                    f"Neo4j at {self.uri} took longer than {self._timeout_seconds:g} s for {query.name}: try again"
                ) from error
            raise QueryError(f"{query.name}: {error.message}") from error
        except Neo4jError as error:
            raise ServiceError(f"Neo4j at {self.uri} failed during {query.name}: {explained(error)}") from error

    def _require_version(self) -> tuple[int, ...]:
        self.driver.verify_connectivity()
        agent = self.driver.get_server_info().agent
        version = parse_version(agent)
        if version < MINIMUM_VERSION:
            needed = ".".join(str(part) for part in MINIMUM_VERSION)
            raise ServiceError(f"{agent} at {self.uri} is too old: vector SEARCH needs Neo4j {needed} or later")
        return version


def parse_version(agent: str) -> tuple[int, ...]:
    """The numbers of a server's agent string: `Neo4j/2026.08.1` gives (2026, 8, 1), one without numbers ()."""
    found = re.search(r"/(\d+(?:\.\d+)*)", agent)
    return tuple(int(part) for part in found.group(1).split(".")) if found else ()


def vector(values: np.ndarray | Sequence[float]) -> Vector:
    """Wrap a float32 array for the wire: half the time of a list of Python floats. Store it by `toFloatList($v)`."""
    return Vector.from_numpy(values) if isinstance(values, np.ndarray) else Vector.from_native(list(values), "f32")


def batched(rows: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, size)):
        yield batch


def explained(error: DriverError | Neo4jError) -> str:
    """What the driver or the server said, on one line, with what to do where that is known."""
    said = str(error.message if isinstance(error, Neo4jError) else error).partition("\n")[0]
    if any(closed in said for closed in _DATABASE_CLOSED):
        return (
            "its database is closed, as after a full disk (its log says why): free the disk, then restart it "
            "('shopgraph services stop' and 'shopgraph services start')"
        )
    return said
