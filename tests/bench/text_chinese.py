"""Chinese titles for `make bench-text`: product words as queries, most of their characters new to the tokenizer."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp
from source_tables import node_table

from shopgraph.dataset.searches import SearchPairs
from shopgraph.dataset.snapshot import Snapshot, assemble

WORD = "HCCX"
"""The type of a span that names what a product is."""
FEWEST_TITLES, MOST_TITLES = 5, 400
PARTS = {"train": 0.7, "validation": 0.1, "test": 0.2}


@dataclass(frozen=True)
class Titles:
    """Distinct titles, and by part the words that are asked for.

    In the titles the judged words are taken out where they stand, so that no query is answered by its own letters.

    Shapes:
        gains: by part, (words, titles), float32: 1 where the title names the word
    """

    snapshot: Snapshot
    words: dict[str, list[str]]
    gains: dict[str, sp.csr_array]
    searches: SearchPairs


def read_titles(folder: Path, seed: int) -> Titles:
    table = pd.read_csv(folder / "title_ner.csv.gz", dtype=str, keep_default_na=False).drop_duplicates("title")
    titles = table["title"].tolist()
    spans = [[(a, b, text) for a, b, kind, text in json.loads(row) if kind == WORD] for row in table["entities"]]
    held: dict[str, set[int]] = defaultdict(set)
    for row, of_one in enumerate(spans):
        for _, _, word in of_one:
            held[word].add(row)
    asked = sorted(word for word, rows in held.items() if FEWEST_TITLES <= len(rows) <= MOST_TITLES)
    drawn = np.random.default_rng(seed).permutation(asked).tolist()
    bounds = np.round(np.cumsum([0.0, *PARTS.values()]) * len(drawn)).astype(int)
    words = {part: drawn[a:b] for part, a, b in zip(PARTS, bounds[:-1], bounds[1:], strict=True)}
    hidden = {*words["validation"], *words["test"]}
    shown = [
        without(title, [(a, b) for a, b, word in of_one if word in hidden])
        for title, of_one in zip(titles, spans, strict=True)
    ]
    products = node_table("Product", id=[f"zh:{row:05d}" for row in range(len(titles))], title=shown)
    snapshot = assemble({"Product": products}, {}, datetime(2020, 1, 1, tzinfo=UTC))
    gains = {part: _named(of_part, held, len(titles)) for part, of_part in words.items()}
    pairs = np.array([(n, row) for n, word in enumerate(words["train"]) for row in sorted(held[word])], np.int64)
    searches = SearchPairs(
        snapshot.id, words["train"], pairs, np.ones(len(pairs), np.int64), np.empty((0, 2), np.int64)
    )
    return Titles(snapshot, words, gains, searches)


def without(text: str, spans: list[tuple[int, int]]) -> str:
    """The text with its spans, end exclusive, cut out."""
    for first, end in sorted(spans, reverse=True):
        text = f"{text[:first]} {text[end:]}"
    return " ".join(text.split())


def _named(words: list[str], held: dict[str, set[int]], titles: int) -> sp.csr_array:
    ends = np.array([(n, row) for n, word in enumerate(words) for row in sorted(held[word])], np.int64).reshape(-1, 2)
    return sp.csr_array((np.ones(len(ends), np.float32), (ends[:, 0], ends[:, 1])), shape=(len(words), titles))
