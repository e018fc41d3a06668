"""Goodbooks, counted against the data's own description."""

from __future__ import annotations

from pathlib import Path

import pyarrow.compute as pc
import pytest

from shopgraph.errors import InputError
from shopgraph.ingest.goodbooks import START, read_goodbooks
from shopgraph.privacy.pseudonym import Pseudonymiser

NAMES = Pseudonymiser(b"k" * 32)


def test_books_authors_shelves_and_ratings(shared_data: Path) -> None:
    feed = read_goodbooks(shared_data / "goodbooks", NAMES)
    assert feed.nodes["Product"].num_rows == 10_000
    rated = feed.relations["RATED"]
    assert rated.num_rows == 615_502
    assert feed.relations["VIEWED"].num_rows == 664_369
    assert feed.rejects == []
    first = rated.slice(0, 1).to_pylist()[0]
    assert (first["start"], first["end"], first["rating"]) == (NAMES.pseudonym("goodbooks", "8"), "goodbooks:2584", 5.0)
    assert (first["at"] - START).total_seconds() == 1
    assert rated["at"].to_pylist() == sorted(rated["at"].to_pylist())

    def ends(kind: str, book: str) -> list[str]:
        relation = feed.relations[kind]
        return relation.filter(pc.equal(relation["start"], book))["end"].to_pylist()

    assert ends("WRITTEN_BY", "goodbooks:2") == ["j.k. rowling", "mary grandpré"]
    assert ends("IN_CATEGORY", "goodbooks:2") == ["Books > Fantasy"]
    attributes = ends("HAS_ATTRIBUTE", "goodbooks:1")
    assert {"series=The Hunger Games", "genre=Science fiction", "year=2008", "shelf=dystopian"} <= set(attributes)
    shelves = {end for end in feed.relations["HAS_ATTRIBUTE"]["end"].unique().to_pylist() if end.startswith("shelf=")}
    assert shelves.isdisjoint({"shelf=to-read", "shelf=owned", "shelf=kindle", "shelf=read-in-2015", "shelf=favorites"})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"books\.csv\.gz: no such file"):
        read_goodbooks(tmp_path, NAMES)
