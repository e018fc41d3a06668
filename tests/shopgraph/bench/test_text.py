"""What `make bench-text` judges by: newcomers' purchases are gone, held-out tags are hidden."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp
import text_books
import text_chinese
from text_model import VARIANTS, ndcg, without_newcomers
from text_search import full_text_scores, mean_ndcg, together

from shopgraph.dataset.purchases import Purchases
from shopgraph.dataset.snapshot import Snapshot, assemble
from shopgraph.learning.overrides import configured
from shopgraph.recommend.candidate import Candidate
from shopgraph.recommend.fusion import Blend, fuse
from shopgraph.records import NODE_TABLES, RELATION_TABLES
from shopgraph.text.config import TextConfig

START = datetime(2024, 1, 1, tzinfo=UTC)


def zipped(path: Path, rows: Iterable[str]) -> None:
    with gzip.open(path, "wt") as file:
        file.write("\n".join(rows) + "\n")


def shop() -> Snapshot:
    """Ten products, each bought by five of twelve users, and one user of a single purchase."""
    pairs = [(user, product) for product in range(10) for user in range(12) if (user + product) % 12 < 5]
    lines = [
        {"start": f"u{user:02}", "end": f"p{product}", "line_id": f"{n}", "at": START + timedelta(hours=n),
         "quantity": 1, "amount": 1.0, "discount": 0.0, "order_id": f"{n}"}
        for n, (user, product) in enumerate([*pairs, (12, 0)])
    ]  # fmt: skip
    nodes = {"Product": [{"id": f"p{n}"} for n in range(10)], "User": [{"id": f"u{n:02}"} for n in range(13)]}
    return assemble(
        {label: pa.Table.from_pylist(rows, schema=NODE_TABLES[label]) for label, rows in nodes.items()},
        {"PURCHASED": pa.Table.from_pylist(lines, schema=RELATION_TABLES["PURCHASED"])},
        START + timedelta(days=30),
    )


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_a_configuration_of_its_own(name: str):
    assert configured(TextConfig(), VARIANTS[name]) != TextConfig() or name == "late_fusion"


def test_newcomers_have_no_purchases_left_and_are_what_is_asked_for():
    whole = shop()
    known, setting = without_newcomers(whole, 0.2, 100)
    before, after = (Purchases.of(snapshot).binary().toarray() > 0 for snapshot in (whole, known))
    new = setting.candidates
    assert new.sum() == 2
    assert not after[:, new].any()
    assert (after[:, ~new] == before[:, ~new]).all()
    truth = setting.truth.toarray()
    assert not truth[:, ~new].any()
    judged = truth.any(axis=1)
    assert (truth[judged] == (before & new)[judged]).all()
    assert after[judged].any(axis=1).all(), "who has nothing else is not judged"
    assert without_newcomers(whole, 0.2, 3)[1].users.size == 3


def test_a_perfect_profile_is_judged_perfect():
    _, setting = without_newcomers(shop(), 0.2, 100)
    truth = setting.truth.toarray()
    assert ndcg(lambda rows: truth[rows].astype(np.float32), setting) == 1.0
    assert ndcg(lambda rows: -truth[rows].astype(np.float32), setting) < 1.0


@pytest.fixture
def books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(text_books, "FEWEST_BOOKS", 3)
    monkeypatch.setattr(text_books, "FEWEST_RATINGS", 2)
    monkeypatch.setattr("shopgraph.ingest.goodbooks.FEWEST_BOOKS_A_SHELF", 1)
    tags = ["magic", "dragons", "whales", "sailing", "murder", "detective", "cooking", "bread", "gardens", "to-read"]
    zipped(
        tmp_path / "books.csv.gz",
        ["book_id,authors,title,image_url", *(f"{n},Author {n % 4},Title {n}," for n in range(1, 21))],
    )
    zipped(tmp_path / "tags.csv.gz", ["tag_id,tag_name", *(f"{n},{tag}" for n, tag in enumerate(tags))])
    put = [f"{book},{tag},{1 + book}" for tag in range(len(tags)) for book in range(1, 21) if (book + tag) % 4 == 0]
    zipped(tmp_path / "book_tags.csv.gz", ["book_id,tag_id,count", *put, "1,0,0"])
    rated = [f"A,{user},{book},4" for user in range(1, 9) for book in range(1, 21) if (user + book) % 3 == 0]
    zipped(tmp_path / "ratings.csv.gz", ["part,user_id,book_id,rating", *rated])
    return tmp_path


def test_tags_that_judge_are_told_to_nobody(books: Path):
    read = text_books.read_books(books, seed=1)
    parts = {part: set(tags) for part, tags in read.tags.items()}
    assert sum(len(tags) for tags in parts.values()) == 9, "a shelf for plans is no query"
    assert not parts["train"] & (parts["test"] | parts["validation"])
    told = {node.removeprefix("shelf=") for node in read.described.ids("Attribute")}
    assert told == parts["train"] == set(read.searches.queries)
    assert read.texts.relations["HAS_ATTRIBUTE"].num_rows == 0
    assert read.texts.relations["IN_CATEGORY"].num_rows == read.described.relations["IN_CATEGORY"].num_rows == 0
    assert read.described.ids("Product") == read.texts.ids("Product")
    assert read.described.relations["PURCHASED"].equals(read.texts.relations["PURCHASED"])
    row = read.texts.ids("Product").index("goodbooks:4")
    gains = {
        tag: read.gains[part][[n]].toarray()[0, row] for part in read.tags for n, tag in enumerate(read.tags[part])
    }
    assert gains["magic"] == pytest.approx(np.log(6))
    assert gains["dragons"] == 0


def test_words_that_judge_are_cut_out_of_the_titles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(text_chinese, "FEWEST_TITLES", 2)
    words = [chr(0x4E00 + n) + chr(0x5200 + n) for n in range(10)]
    rows = [
        (f"好{word}{extra}", [[1, 3, "HCCX", word], [0, 1, "HPPX", "好"]])
        for word in words
        for extra in ("a", "b", "b")
    ]
    lines = [json.dumps(spans, ensure_ascii=False).replace('"', '""') for _, spans in rows]
    zipped(
        tmp_path / "title_ner.csv.gz",
        ["split,title,entities", *(f'x,{title},"{spans}"' for (title, _), spans in zip(rows, lines, strict=True))],
    )
    read = text_chinese.read_titles(tmp_path, seed=0)
    titles = read.snapshot.nodes["Product"]["title"].to_pylist()
    assert len(titles) == 20, "each title once"
    for word in (*read.words["test"], *read.words["validation"]):
        assert not any(word in title for title in titles)
    for number, word in enumerate(read.words["train"]):
        named = [row for row, title in enumerate(titles) if word in title]
        assert len(named) == 2
        assert read.gains["train"][[number]].toarray()[0].nonzero()[0].tolist() == named
    assert text_chinese.without("ab cd ef", [(0, 2), (6, 8)]) == "cd"


def test_words_and_vectors_are_joined_by_rank_as_a_search_joins_them():
    blend = Blend({"full_text_search": 1.0, "text_search": 2.0}, rank_offset=1.0)
    words, meaning = np.array([[4.0, 0.0, 5.0]]), np.array([[0.9, 0.3, 0.2]])
    found = together(words, meaning, blend)
    assert found.tolist() == [pytest.approx([1 / 3 + 2 / 2, 2 / 3, 1 / 2 + 2 / 4])]
    listed = {"full_text_search": ["c", "a"], "text_search": ["a", "b", "c"]}
    served = fuse({name: [Candidate(item, 0.0, None) for item in items] for name, items in listed.items()}, blend)
    assert {item.id: item.score for item in served} == pytest.approx(dict(zip("abc", found[0], strict=True)))


def test_full_text_search_is_neo4j_s_own():
    scores = full_text_scores(["dragon", "zebra (the)"], ["a dragon", "a whale", "the dragon and the whale"])
    assert scores[0, 0] > scores[0, 2] > scores[0, 1] == 0
    gains = sp.csr_array(np.array([[1, 0, 0], [0, 0, 1]], np.float32))
    assert mean_ndcg(scores[:1], gains[[0]], np.ones(3, bool)) == 1.0
