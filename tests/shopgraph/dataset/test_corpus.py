"""Product texts by their template, each once; pairs that are bought together, none of them after the cut."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from shopgraph.dataset.copurchase import CopurchaseConfig, Copurchases, read_copurchases
from shopgraph.dataset.corpus import CorpusConfig, ProductWords, code_names, product_text, product_texts, read_corpus
from shopgraph.dataset.snapshot import Snapshot, assemble
from shopgraph.records import NODE_TABLES, RELATION_TABLES

START = datetime(2024, 1, 1, tzinfo=UTC)
EVER = datetime(2030, 1, 1, tzinfo=UTC)


def shop(titles: dict[str, str], baskets: list[tuple[str, float, str]], before: datetime = EVER) -> Snapshot:
    """A snapshot of titles by product id and baskets (user, day, one letter a product)."""
    lines = [
        {"start": user, "end": product, "line_id": f"{number}:{product}", "at": START + timedelta(days=day),
         "quantity": 1, "amount": 1.0, "discount": 0.0, "order_id": f"o{number:04}"}
        for number, (user, day, products) in enumerate(baskets)
        for product in products
    ]  # fmt: skip
    return assemble(
        {
            "Product": table("Product", [{"id": product, "title": title} for product, title in titles.items()]),
            "User": table("User", [{"id": user} for user in sorted({user for user, _, _ in baskets})]),
        },
        {"PURCHASED": pa.Table.from_pylist(lines, schema=RELATION_TABLES["PURCHASED"])},
        before,
    )


def table(label: str, rows: list[dict]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=NODE_TABLES[label])


def found(snapshot: Snapshot, **options: object) -> tuple[set[str], Copurchases]:
    """The training pairs as texts, e.g. {"A-B"}."""
    corpus = read_corpus(snapshot, CorpusConfig())
    pairs = read_copurchases(snapshot, corpus, CopurchaseConfig(**{"holdout_share": 0.0, **options}))
    return named(corpus.texts, pairs.train), pairs


def named(texts: list[str], pairs: np.ndarray) -> set[str]:
    return {f"{texts[a]}-{texts[b]}" for a, b in pairs}


def test_a_text_says_title_brand_author_category_attributes_and_description_in_this_order():
    text = product_text(
        "Red  Wine",
        ["Cellar"],
        ["A. Vine"],
        ["Drinks", "Drinks > Still > Bordeaux"],
        ["vintage=2019"],
        "Dry and\nfull.",
    )
    assert text == "Red Wine. Cellar. A. Vine. Drinks > Still > Bordeaux. vintage 2019. Dry and full."


def test_nothing_is_said_twice():
    text = product_text(
        "Acme Green Tea, 20 CT", ["ACME"], (), ["Grocery > Tea > Green Tea"], ["size=20 CT", "label=own"]
    )
    assert text == "Acme Green Tea, 20 CT. Grocery. label own"


def test_numbered_brands_are_codes_only_in_a_series():
    names = [*(f"Manufacturer {n}" for n in range(20)), "Forever 21", None, "Acme"]
    assert code_names(names, 20) == {f"Manufacturer {n}" for n in range(20)}
    assert code_names(names, 21) == frozenset()
    codes = frozenset({"Manufacturer 6", "Manufacturer 69"})
    assert product_text("Soup, 8 OZ, Manufacturer 69", ["Manufacturer 69"], codes=codes) == "Soup, 8 OZ"
    assert product_text("Shirt, Forever 21", ["Forever 21"], codes=codes) == "Shirt, Forever 21"


def test_a_long_description_is_cut_at_a_word():
    assert product_text("Tea", description="one two three", description_characters=8) == "Tea. one two"
    assert product_text("Tea", description="x" * 50, description_characters=8) == "Tea. " + "x" * 8


@pytest.mark.parametrize("title", [None, "", "  "])
def test_a_product_that_says_nothing_has_an_empty_text(title: str | None):
    assert product_text(title, description=None) == ""


def test_each_distinct_text_stands_once_and_every_product_finds_its_own():
    corpus = read_corpus(shop({"p3": "Tea", "p1": "Wine", "p2": "Tea", "p4": ""}, []), CorpusConfig())
    assert corpus.texts == ["", "Tea", "Wine"]
    assert [corpus.texts[row] for row in corpus.text_of] == ["Wine", "Tea", "Tea", ""]
    assert corpus.products == ["p1", "p2", "p3", "p4"]


def test_related_names_come_from_the_graph():
    snapshot = assemble(
        {
            "Product": table("Product", [{"id": "p1", "title": "Tea"}]),
            "Brand": table("Brand", [{"id": "acme", "name": "Acme"}]),
            "Category": table(
                "Category", [{"id": "A", "name": "A", "level": 1}, {"id": "A > B", "name": "B", "level": 2}]
            ),
            "Attribute": table("Attribute", [{"id": "size=1 L", "key": "size", "value": "1 L"}]),
        },
        {
            name: pa.Table.from_pylist([{"start": "p1", "end": end}], schema=RELATION_TABLES[name])
            for name, end in (("MADE_BY", "acme"), ("IN_CATEGORY", "A > B"), ("HAS_ATTRIBUTE", "size=1 L"))
        },
        EVER,
    )
    assert read_corpus(snapshot, CorpusConfig()).texts == ["Tea. Acme. B. size 1 L"]


def test_a_product_that_came_later_is_written_as_a_snapshot_writes_it():
    brands = [f"Maker {number}" for number in range(20)]
    words = ProductWords("Tea, Maker 3", {"MADE_BY": ["Maker 3"], "IN_CATEGORY": ["Cup > Leaf"]}, "Black  and strong.")
    assert product_texts([words, ProductWords()], brands, CorpusConfig()) == ["Tea. Cup > Leaf. Black and strong.", ""]
    assert product_texts([words], brands[1:], CorpusConfig()) == ["Tea, Maker 3. Cup > Leaf. Black and strong."]
    assert product_texts([words], brands, CorpusConfig(description_characters=5)) == ["Tea. Cup > Leaf. Black"]


PLANTED = [
    *((f"u{n}", n, "ABM") for n in range(4)),
    *((f"u{n}", n, "CDM") for n in range(4, 8)),
    ("u8", 8, "ACM"),
    ("u9", 9, "M"),
]
LETTERS = {letter: letter for letter in "ABCDEFM"}


def test_pairs_are_what_goes_together_more_than_chance():
    """M is in every basket: its lift is n_am N / (n_a n_m) = 5 * 10 / (5 * 10) = 1; A and B have 2."""
    pairs, copurchases = found(shop(LETTERS, PLANTED))
    assert pairs == {"A-B", "C-D"}
    assert copurchases.links.toarray().sum() == 4
    assert found(shop(LETTERS, PLANTED), minimum_lift=2.01)[0] == set()


def test_a_pair_seen_once_is_chance():
    rare = [*PLANTED, ("u1", 20, "BD")]
    assert found(shop(LETTERS, rare))[0] == {"A-B", "C-D"}


def test_a_bestseller_is_in_few_pairs():
    titles = {letter: letter for letter in "ABCDEFGZ"}
    baskets = [(f"u{n}{letter}", n, f"{letter}Z") for letter in "ABCDEF" for n in range(3)]
    baskets += [(f"v{n}", n, "G") for n in range(30)]
    snapshot = shop(titles, baskets)
    assert len(found(snapshot)[0]) == 6
    assert len(found(snapshot, pairs_per_text=2)[0]) == 2


def test_one_line_orders_of_an_evening_are_one_basket():
    orders = [(user, day + hour / 24, letter) for user, day, letters in PLANTED for hour, letter in enumerate(letters)]
    assert found(shop(LETTERS, orders))[0] == {"A-B", "C-D"}
    assert found(shop(LETTERS, orders), gap_hours=0.5)[0] == set()


def test_nothing_bought_after_the_cut_is_in_a_pair():
    purchases = [*PLANTED, *((f"u{n}", 100 + n, "EF") for n in range(5))]
    cut = START + timedelta(days=50)
    assert "E-F" in found(shop(LETTERS, purchases))[0]
    assert found(shop(LETTERS, purchases, before=cut))[0] == {"A-B", "C-D"}
    assert found(shop(LETTERS, purchases).until(cut))[0] == {"A-B", "C-D"}


def test_held_out_pairs_are_later_and_never_trained_on():
    later = [(f"u{n}", 100 + n, letters) for n, letters in enumerate(["BC", "BC", "BC", "AB", "AB"])]
    snapshot = shop(LETTERS, [*PLANTED, *later])
    pairs, copurchases = found(snapshot, holdout_share=5.5 / 15, minimum_lift=1.0)
    assert "B-C" not in pairs
    assert named(read_corpus(snapshot, CorpusConfig()).texts, copurchases.holdout) == {"B-C"}


def test_a_shop_without_purchases_has_no_pairs():
    pairs, copurchases = found(shop(LETTERS, []), holdout_share=0.1)
    assert pairs == set()
    assert copurchases.holdout.shape == (0, 2)
