"""The schema as numbered files whose checksums are kept in the graph; an applied file that changed is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from neo4j.exceptions import DriverError, Neo4jError
from neo4j_python_migrations.executor import Executor

from shopgraph.errors import ServiceError
from shopgraph.graph.connection import Graph, explained
from shopgraph_cypher import MIGRATIONS


@dataclass(frozen=True)
class MigrationStatus:
    """One numbered file and where it stands: applied, pending, or invalid (changed or missing since applied)."""

    version: str
    description: str
    state: str


class Schema:
    """Reports, verifies and applies the migrations of one graph."""

    def __init__(self, graph: Graph, folder: Path = MIGRATIONS) -> None:
        self._uri = graph.uri
        self._executor = Executor(graph.driver, folder, project="shopgraph")

    def status(self) -> list[MigrationStatus]:
        with self._told():
            result = self._executor.analyze()
        pending = {migration.version for migration in result.pending_migrations}
        invalid = {entry.version for entry in result.invalid_versions}
        found = {migration.version: migration.description for migration in self._executor.local_migrations}
        for version in invalid - found.keys():
            found[version] = "(file missing)"
        state = dict.fromkeys(found, "applied") | dict.fromkeys(pending, "pending") | dict.fromkeys(invalid, "invalid")
        return [MigrationStatus(version, found[version], state[version]) for version in sorted(found)]

    def verify(self) -> None:
        """Refuse a graph whose applied files have changed or are missing.

        Raises:
            ServiceError: naming the first such file.
        """
        wrong = [entry for entry in self.status() if entry.state == "invalid"]
        if wrong:
            first = wrong[0]
            raise ServiceError(
                f"migration V{first.version} ({first.description}) changed after it was applied to this graph: "
                "restore the file, and put the change into a new migration"
            )

    def apply(self) -> list[str]:
        """Apply what is pending, in order; the versions applied."""
        self.verify()
        applied: list[str] = []
        with self._told():
            self._executor.migrate(on_apply=lambda migration: applied.append(migration.version))
        return applied

    @contextmanager
    def _told(self) -> Iterator[None]:
        """The migrations run on the driver itself: what it raises is told as the connection tells it."""
        try:
            yield
        except (DriverError, Neo4jError) as error:
            raise ServiceError(
                f"Neo4j at {self._uri} failed while its schema was read or applied: {explained(error)}"
            ) from error
