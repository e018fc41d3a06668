"""The sample shop is the same every time and holds the tastes it says."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

from shopgraph.sample import LOYALTY, TASTES, products, users, write_sample


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        write_sample(tmp_path / name, seed)
    content = {name: (tmp_path / name / "behavior.csv").read_bytes() for name in "abc"}
    assert content["a"] == content["b"] != content["c"]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["behavior.csv", "products.csv", "users.csv"]


def test_people_buy_by_their_taste_and_come_back_for_consumables(tmp_path: Path) -> None:
    write_sample(tmp_path)
    category = {product["id"]: product["category"] for product in products()}
    consumable = {product["id"] for product in products() if "consumable=yes" in product["attributes"]}
    taste_of = dict(users())
    with (tmp_path / "behavior.csv").open(encoding="utf-8") as handle:
        purchases = [row for row in csv.DictReader(handle) if row["type"] == "purchase"]
    for taste in TASTES:
        bought = [row for row in purchases if taste_of[row["user_id"]] is taste and row["product_id"] not in consumable]
        inside = sum(category[row["product_id"]] in taste.categories for row in bought)
        assert abs(inside / len(bought) - LOYALTY) < 0.1, taste.name
    times = Counter((row["user_id"], row["product_id"]) for row in purchases)
    repeated = {user for (user, product), count in times.items() if product in consumable and count >= 5}
    assert len(repeated) == len(users()) == 120


def test_the_catalogue_is_well_formed() -> None:
    catalogue = products()
    assert 200 <= len(catalogue) <= 300
    assert len({product["id"] for product in catalogue}) == len(catalogue)
    (book,) = [product for product in catalogue if product["title"] == "The Left Hand of Darkness"]
    assert (book["author"], book["attributes"]) == ("Ursula K. Le Guin", "year=1969;format=paperback")
    assert {category for taste in TASTES for category in taste.categories} <= {row["category"] for row in catalogue}
