"""What a language model reads of each product: one text by a stated template, each distinct text once."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shopgraph.dataset.snapshot import Snapshot

PATH_SEPARATOR = " > "
_NUMBERED = re.compile(r"(\w+) \d+")
_NUMBERED_WITHIN = re.compile(r"[\s,;|-]*\b(\w+ \d+)\b")


@dataclass(frozen=True)
class CorpusConfig:
    """How a product becomes a text."""

    description_characters: int = 400
    """Characters of the description that are read, cut at a word; the model's own limit counts tokens."""
    code_series: int = 20
    """Brands named by one word and a number ("Manufacturer 69") are codes, not words, when there are at least this many
    of them: they are left out of the texts, since the graph carries them as relations. A single "Forever 21" stays."""


@dataclass(frozen=True)
class Corpus:
    """The texts of a catalogue.

    Shapes:
        products: n product ids, in the order of the snapshot's rows
        texts: t distinct texts, sorted
        text_of: (n,), int64, the row of each product's text
    """

    products: list[str]
    texts: list[str]
    text_of: np.ndarray


def read_corpus(snapshot: Snapshot, config: CorpusConfig) -> Corpus:
    """Write the text of every product of a snapshot, bought or not."""
    products = snapshot.nodes["Product"]
    brands, authors, paths, attributes = (
        _related(snapshot, relation, label, column)
        for relation, label, column in (
            ("MADE_BY", "Brand", "name"),
            ("WRITTEN_BY", "Author", "name"),
            ("IN_CATEGORY", "Category", "id"),
            ("HAS_ATTRIBUTE", "Attribute", "id"),
        )
    )
    codes = code_names(snapshot.nodes["Brand"]["name"].to_pylist(), config.code_series)
    titles, descriptions = (products[column].to_pylist() for column in ("title", "description"))
    written = [
        product_text(
            title, brands[row], authors[row], paths[row], attributes[row], description,
            codes=codes, description_characters=config.description_characters,
        )
        for row, (title, description) in enumerate(zip(titles, descriptions, strict=True))
    ]  # fmt: skip
    texts, text_of = np.unique(np.array(written, dtype=object), return_inverse=True)
    return Corpus(snapshot.ids("Product"), texts.tolist(), text_of.astype(np.int64).reshape(-1))


def product_text(
    title: str | None,
    brands: Iterable[str] = (),
    authors: Iterable[str] = (),
    category_paths: Sequence[str] = (),
    attributes: Iterable[str] = (),
    description: str | None = None,
    codes: frozenset[str] = frozenset(),
    description_characters: int = CorpusConfig.description_characters,
) -> str:
    """Write one product's text: title. brand. author. category path. attributes. description.

    What the text has said already is not said again: tokens are what encoding costs. Sources often build titles from
    type, size and maker.

    Args:
        category_paths: ids of categories; the longest path is read.
        attributes: `key=value`.
        codes: names that carry no words, see `code_names`.
    """
    named = [name for name in brands if name not in codes]
    text = _NUMBERED_WITHIN.sub(lambda found: "" if found[1] in codes else found[0], _squeezed(title))
    path = max(category_paths, key=len, default="").split(PATH_SEPARATOR)
    for part in (
        *named,
        *authors,
        PATH_SEPARATOR.join(name for name in path if name.casefold() not in text.casefold()),
        *(_spoken(attribute, text) for attribute in attributes),
        _cut(_squeezed(description), description_characters),
    ):
        if part and part.casefold() not in text.casefold():
            text = f"{text}. {_squeezed(part)}" if text else _squeezed(part)
    return text


def code_names(names: Iterable[str | None], series: int) -> frozenset[str]:
    """Names of the form "word number" whose word heads at least `series` of them."""
    numbered = {name: match.group(1) for name in names if name and (match := _NUMBERED.fullmatch(name))}
    counts = Counter(numbered.values())
    return frozenset(name for name, word in numbered.items() if counts[word] >= series)


def _related(snapshot: Snapshot, relation: str, label: str, column: str) -> Mapping[int, list[str]]:
    """By product row, what a relation leads to, in the order of the target rows."""
    table = snapshot.relations[relation]
    values = snapshot.nodes[label][column].to_pylist()
    related: dict[int, list[str]] = defaultdict(list)
    for start, end in zip(table["start"].to_pylist(), table["end"].to_pylist(), strict=True):
        if values[end]:
            related[start].append(values[end])
    return related


def _spoken(attribute: str, said: str) -> str:
    key, _, value = attribute.partition("=")
    return "" if value.casefold() in said.casefold() else f"{key} {value}"


def _squeezed(text: str | None) -> str:
    return " ".join((text or "").split())


def _cut(text: str, limit: int) -> str:
    """At most `limit` characters, without half a word where there are words."""
    if len(text) <= limit:
        return text
    return text[: limit + 1].rsplit(" ", 1)[0][:limit]
