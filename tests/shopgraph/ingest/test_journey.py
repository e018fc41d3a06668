"""The Complete Journey, counted against what is known of it."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from shopgraph.errors import InputError
from shopgraph.ingest.journey import WEEK_STARTS, read_journey
from shopgraph.privacy.pseudonym import Pseudonymiser
from shopgraph.records import Feed

NAMES = Pseudonymiser(b"k" * 32)


@pytest.fixture(scope="module")
def feed() -> Feed:
    return read_journey(NAMES)


def test_the_whole_year_has_every_line_household_and_product(feed: Feed) -> None:
    lines = feed.relations["PURCHASED"]
    assert lines.num_rows == 1_460_406
    assert pc.count_distinct(lines["line_id"]).as_py() == lines.num_rows
    assert pc.count_distinct(lines["end"]).as_py() == 68_257
    assert feed.nodes["User"].num_rows == pc.count_distinct(lines["start"]).as_py() == 2_469
    assert feed.nodes["Product"].num_rows == 92_331
    assert len(feed.rejects) == 1_469_307 - 1_460_406
    reasons = [reject.field for reject in feed.rejects]
    assert reasons.count("quantity") == 8_869
    assert pc.min(lines["quantity"]).as_py() == 1
    assert pc.sum(pc.equal(lines["amount"], 0)).as_py() == 2_406


def test_weeks_1_to_44_are_the_training_weeks(feed: Feed) -> None:
    train = read_journey(NAMES, range(1, 45)).relations["PURCHASED"]
    assert train.num_rows == 1_203_421
    assert pc.max(train["at"]).as_py() < WEEK_STARTS[45]
    later = feed.relations["PURCHASED"].filter(
        pc.greater_equal(feed.relations["PURCHASED"]["at"], pa.scalar(WEEK_STARTS[45]))
    )
    assert later.num_rows == 1_460_406 - 1_203_421


def test_week_starts_follow_the_stores_clock() -> None:
    assert WEEK_STARTS[45].isoformat() == "2017-10-30T04:00:00+00:00"
    assert WEEK_STARTS[49].isoformat() == "2017-11-27T05:00:00+00:00"
    assert list(WEEK_STARTS) == list(range(1, 55))


def test_a_line_reads_as_in_the_file(feed: Feed) -> None:
    # The file's fourth row: household 906, basket 31198705046, product 1020156, 1 unit, paid 1.50, 0.29 off.
    lines = feed.relations["PURCHASED"]
    (line,) = lines.filter(pc.equal(lines["line_id"], "cj:31198705046:1020156")).to_pylist()
    assert line["start"] == NAMES.pseudonym("cj", "906")
    assert (line["end"], line["order_id"], line["quantity"]) == ("cj:1020156", "cj:31198705046", 1)
    assert (line["amount"], line["discount"]) == (1.5, 0.29)
    assert line["at"].isoformat() == "2017-01-01T12:30:27+00:00"


def test_a_product_is_titled_filed_and_attributed_by_the_stated_rules(feed: Feed) -> None:
    def ends(kind: str, product: str) -> list[str]:
        relation = feed.relations[kind]
        return relation.filter(pc.equal(relation["start"], product))["end"].to_pylist()

    titles = dict(zip(feed.nodes["Product"]["id"].to_pylist(), feed.nodes["Product"]["title"].to_pylist(), strict=True))
    assert titles["cj:1226357"] == "Dry Soup, 5 OZ, Manufacturer 1948"
    assert titles["cj:26093"] == "Bread:Italian/French, private label"
    assert titles["cj:26081"] == "Miscellaneous, Manufacturer 2"
    assert ends("MADE_BY", "cj:1226357") == ["manufacturer 1948"]
    assert ends("IN_CATEGORY", "cj:1226357") == ["GROCERY > SOUP > DRY SOUP"]
    assert ends("IN_CATEGORY", "cj:26081") == ["MISCELLANEOUS"]
    assert ends("IN_CATEGORY", "cj:828807") == ["MISCELLANEOUS > ORGANIC APPLES"]
    assert ends("HAS_ATTRIBUTE", "cj:1226357") == ["label=national", "size=5 OZ"]


def test_a_price_is_the_latest_shelf_price_of_the_loaded_weeks() -> None:
    week = read_journey(NAMES, range(1, 2))
    prices = dict(zip(week.nodes["Product"]["id"].to_pylist(), week.nodes["Product"]["price"].to_pylist(), strict=True))
    assert prices["cj:1020156"] == pytest.approx(1.5 + 0.29)
    assert prices["cj:26081"] is None
    assert week.nodes["Product"].num_rows == 92_331
    assert week.nodes["User"].num_rows < 2_469


def test_demographics_are_segments(feed: Feed) -> None:
    users = feed.nodes["User"]
    (first,) = users.filter(pc.equal(users["id"], NAMES.pseudonym("cj", "1"))).to_pylist()
    assert (first["age"], first["income"], first["household_comp"]) == ("65+", "35-49K", "2 Adults No Kids")
    assert users["age"].null_count == 2_469 - 801


def test_weeks_that_are_not_there_are_refused() -> None:
    with pytest.raises(InputError, match="weeks 50-54: the Complete Journey has weeks 1 to 53"):
        read_journey(NAMES, range(50, 55))
