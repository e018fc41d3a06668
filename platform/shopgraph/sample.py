"""A small hand-made shop with planted tastes, written as the three CSV files of a shop's own export.

Products, makers and authors are real; prices, people and everything that they do are invented. A person has one taste
of `TASTES`: four in five purchases, views and ratings fall into its categories, the rest anywhere. Each person also has
one consumable, of the taste where it has any, bought again about every four weeks.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from random import Random
from typing import Any

from shopgraph.records import SourceInfo

START = datetime(2024, 1, 1, tzinfo=UTC)
WEEKS = 26
USERS_A_TASTE = 15
LOYALTY = 0.8
"""Share of a person's events within the own taste."""
REPEAT_WEEKS = 4

SAMPLE = SourceInfo(
    name="sample",
    title="A hand-made sample shop of books, electronics and clothing",
    currency="EUR",
    terms=(
        "Made for shopgraph, Apache-2.0. Products, makers and authors are real; prices, people and events are invented."
    ),
)


@dataclass(frozen=True)
class Taste:
    """What the people of one taste like."""

    name: str
    categories: tuple[str, ...]
    queries: tuple[str, ...]


TASTES = (
    Taste("fantasy", ("Books > Fantasy",), ("fantasy novel", "dragons", "discworld")),
    Taste("science_fiction", ("Books > Science Fiction",), ("science fiction", "space opera", "robots")),
    Taste("crime", ("Books > Crime",), ("detective novel", "murder mystery", "nordic crime")),
    Taste(
        "photography",
        ("Electronics > Cameras", "Electronics > Lenses", "Electronics > Camera accessories", "Books > Photography"),
        ("full frame camera", "50mm lens", "black and white film"),
    ),
    Taste(
        "running",
        ("Clothing > Running", "Electronics > Sports watches", "Books > Running"),
        ("running shoes", "gps watch", "running socks"),
    ),
    Taste("outdoor", ("Clothing > Outdoor",), ("hiking boots", "rain jacket", "merino socks")),
    Taste("audio", ("Electronics > Headphones", "Electronics > Hi-fi"), ("turntable", "noise cancelling", "speakers")),
    Taste(
        "computing",
        ("Electronics > Computers", "Electronics > Computer accessories"),
        ("gaming mouse", "mechanical keyboard", "laptop"),
    ),
)

Row = dict[str, Any]


def products() -> list[Row]:
    """The catalogue, as in products.csv."""
    text = (resources.files("shopgraph") / "sample_products.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def users() -> list[tuple[str, Taste]]:
    """Raw user ids with their tastes: `user-001` to `user-015` share the first, and so on."""
    owners = [taste for taste in TASTES for _ in range(USERS_A_TASTE)]
    return [(f"user-{number:03d}", taste) for number, taste in enumerate(owners, start=1)]


def write_sample(folder: Path, seed: int = 7) -> None:
    """Write products.csv, users.csv and behavior.csv; the same seed gives the same bytes."""
    random = Random(seed)  # noqa: S311  planted data, no secret
    catalogue = products()
    folder.mkdir(parents=True, exist_ok=True)
    people = [_person(random, user_id) for user_id, _ in users()]
    shoppers = [_Shopper(random, user_id, taste, catalogue) for user_id, taste in users()]
    events = [event for shopper in shoppers for event in shopper.events()]
    _write(folder / "products.csv", catalogue)
    _write(folder / "users.csv", people)
    _write(folder / "behavior.csv", sorted(events, key=lambda event: (event["at"], event["user_id"])))


def _person(random: Random, user_id: str) -> Row:
    return {
        "id": user_id,
        "age": random.choice(("18-24", "25-34", "35-44", "45-54", "55-64", "65+")),
        "region": random.choice(("north", "east", "south", "west")),
        "household_size": str(random.choice((1, 2, 2, 3, 4))),
    }


class _Shopper:
    """One person's half year."""

    def __init__(self, random: Random, user_id: str, taste: Taste, catalogue: list[Row]) -> None:
        self.random = random
        self.user_id = user_id
        self.taste = taste
        self.catalogue = catalogue
        self.own = [product for product in catalogue if product["category"] in taste.categories]

    def events(self) -> Iterator[Row]:
        staples = [product for product in self.own if _consumable(product)]
        staple = self.random.choice(staples or [product for product in self.catalogue if _consumable(product)])
        offset = self.random.randrange(REPEAT_WEEKS)
        for week in range(WEEKS):
            basket = [self.pick()] if self.random.random() < 0.85 else []
            if week % REPEAT_WEEKS == offset:
                basket.append(staple)
            yield from self.visit(week, basket)

    def visit(self, week: int, basket: list[Row]) -> Iterator[Row]:
        """A week's search and views, what is bought, and a rating two days later."""
        at = START + timedelta(weeks=week, seconds=self.random.randrange(5 * 24 * 3600))
        if self.random.random() < 0.3:
            yield self.event("search", at, query=self.random.choice(self.taste.queries))
        looked = [*basket, *(self.pick() for _ in range(self.random.randint(1, 3)))]
        for minute, product in enumerate(looked, start=1):
            yield self.event("view", at + timedelta(minutes=minute), product_id=product["id"])
        bought = at + timedelta(minutes=20)
        for product in {product["id"]: product for product in basket}.values():
            yield self.purchase(bought, product)
            if self.random.random() < 0.3:
                liked = product["category"] in self.taste.categories
                stars = self.random.choice((4, 5, 5)) if liked else self.random.choice((2, 3, 4))
                yield self.event("rating", bought + timedelta(days=2), product_id=product["id"], rating=stars)

    def pick(self) -> Row:
        """A product by chance: the earlier in its list the likelier, as bestsellers are."""
        pool = self.own if self.random.random() < LOYALTY else self.catalogue
        return self.random.choices(pool, weights=[1 / (rank + 3) for rank in range(len(pool))])[0]

    def purchase(self, at: datetime, product: Row) -> Row:
        quantity = 2 if _consumable(product) and self.random.random() < 0.3 else 1
        full = quantity * float(product["price"])
        discount = round(full * 0.1, 2) if self.random.random() < 0.2 else 0.0
        paid = {"quantity": quantity, "amount": f"{full - discount:.2f}", "discount": f"{discount:.2f}"}
        return self.event("purchase", at, product_id=product["id"], **paid)

    def event(self, kind: str, at: datetime, **values: Any) -> Row:
        row = dict.fromkeys(("product_id", "quantity", "amount", "discount", "rating", "query"), "")
        return {"user_id": self.user_id, "type": kind, "at": f"{at:%Y-%m-%dT%H:%M:%SZ}", **row, **values}


def _consumable(product: Row) -> bool:
    return "consumable=yes" in product["attributes"].split(";")


def _write(path: Path, rows: list[Row]) -> None:
    draft = path.with_suffix(".draft")
    with draft.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    draft.replace(path)
