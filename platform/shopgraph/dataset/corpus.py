"""What a language model reads of each product: one text by a stated template, each distinct text once."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from shopgraph.dataset.snapshot import Snapshot
from shopgraph.schema import RELATIONS

PATH_SEPARATOR = " > "
READ = {"MADE_BY": "name", "WRITTEN_BY": "name", "IN_CATEGORY": "id", "HAS_ATTRIBUTE": "id"}
"""By relation of a product, in the order of the text, the property of its other end that is read."""
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
class ProductWords:
    """What a product's text is made of, as the catalogue states it."""

    title: str | None = None
    related: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By relation type what `READ` names of its ends, in the order of their ids; nothing of an end that lacks it."""
    description: str | None = None


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
    related = {name: _related(snapshot, name, column) for name, column in READ.items()}
    titles, descriptions = (products[column].to_pylist() for column in ("title", "description"))
    words = (
        ProductWords(title, {name: ends[row] for name, ends in related.items() if row in ends}, description)
        for row, (title, description) in enumerate(zip(titles, descriptions, strict=True))
    )
    written = product_texts(words, snapshot.nodes["Brand"]["name"].to_pylist(), config)
    texts, text_of = np.unique(np.array(written, dtype=object), return_inverse=True)
    return Corpus(snapshot.ids("Product"), texts.tolist(), text_of.astype(np.int64).reshape(-1))


def product_texts(products: Iterable[ProductWords], brands: Iterable[str | None], config: CorpusConfig) -> list[str]:
    """The text of each product: of those of a snapshot, and of those that came after it.

    Args:
        brands: names of all brands of the catalogue; which are codes is told by their number.
    """
    codes = code_names(brands, config.code_series)

    def written(words: ProductWords) -> str:
        brands, authors, paths, attributes = (words.related.get(name, ()) for name in READ)
        limit = config.description_characters
        return product_text(words.title, brands, authors, paths, attributes, words.description, codes, limit)

    return [written(words) for words in products]


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


def _related(snapshot: Snapshot, relation: str, column: str) -> Mapping[int, list[str]]:
    """By product row, what a relation leads to, in the order of the target rows."""
    table = snapshot.relations[relation]
    values = snapshot.nodes[RELATIONS[relation].target][column].to_pylist()
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
