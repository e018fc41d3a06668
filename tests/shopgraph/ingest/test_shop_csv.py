"""A shop's export: what is read, and each way it can be wrong, by file, line and field."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from shopgraph.errors import InputError
from shopgraph.ingest.csv_file import read_csv
from shopgraph.ingest.rejects import write_rejects
from shopgraph.ingest.shop_csv import read_shop
from shopgraph.privacy.pseudonym import Pseudonymiser
from shopgraph.records import Feed, SourceInfo

SHOP = SourceInfo("shop", "A shop", "EUR", "test data")
NAMES = Pseudonymiser(b"k" * 32)
PRODUCTS = """id,title,brand,author,category,price,attributes
p1,"The Left Hand of Darkness",,Ursula K. Le Guin,Books > Fiction,9.50,year=1969
p2,Good Omens,,Neil Gaiman; Terry Pratchett,Books>Fiction,10.90,
p3,"Pegasus,
 running shoe",Nike,,Clothing,129,Surface = road;size=42
"""
BEHAVIOR = """user_id,type,product_id,at,quantity,amount,discount,order_id,rating,query,event_id
42,purchase,p1,2024-01-01T10:00:00Z,2,19.00,1.00,o1,,,e1
42,purchase,p2,2024-01-01T10:00:00Z,,10.90,,o1,,,e2
42,view,p2,2024-01-01T11:00:00+02:00,,,,,,,
43,search,,2024-01-02,,,,,,  Running   SHOES ,
43,rating,p3,2024-01-03,,,,,5,,
"""


def shop(folder: Path, **files: str | bytes) -> Path:
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (folder / f"{name}.csv").write_bytes(data)
    return folder


def read(folder: Path) -> Feed:
    return read_shop(folder, SHOP, NAMES)


def test_products_carry_makers_authors_categories_and_attributes(tmp_path: Path) -> None:
    feed = read(shop(tmp_path, products=PRODUCTS))
    assert feed.nodes["Product"]["id"].to_pylist() == ["shop:p1", "shop:p2", "shop:p3"]
    assert feed.nodes["Product"]["title"].to_pylist()[2] == "Pegasus, running shoe"
    assert feed.relations["WRITTEN_BY"].to_pylist() == [
        {"start": "shop:p1", "end": "ursula k. le guin"},
        {"start": "shop:p2", "end": "neil gaiman"},
        {"start": "shop:p2", "end": "terry pratchett"},
    ]
    assert feed.relations["MADE_BY"].to_pylist() == [{"start": "shop:p3", "end": "nike"}]
    assert feed.relations["IN_CATEGORY"]["end"].to_pylist() == ["Books > Fiction", "Books > Fiction", "Clothing"]
    assert feed.relations["CHILD_OF"].to_pylist() == [{"start": "Books > Fiction", "end": "Books"}]
    assert feed.nodes["Attribute"]["id"].to_pylist() == ["year=1969", "surface=road", "size=42"]
    assert (feed.rejects, feed.partial) == ([], False)


def test_variants_name_what_they_share_within_the_source(tmp_path: Path) -> None:
    products = "id,title,variant_of\np1,Shoe,\np2,Shoe in red,p1\np3,Robot in red,robot\np4,Robot in blue,robot\n"
    feed = read(shop(tmp_path, products=products))
    assert feed.nodes["Product"]["variant_of"].to_pylist() == ["", "shop:p1", "shop:robot", "shop:robot"]


def test_events_become_relations_under_pseudonyms(tmp_path: Path) -> None:
    feed = read(shop(tmp_path, behavior=BEHAVIOR))
    first, second = feed.relations["PURCHASED"].to_pylist()
    assert first["start"] == NAMES.pseudonym("shop", "42")
    assert (first["line_id"], first["quantity"], first["amount"], first["discount"]) == ("shop:e1", 2, 19.0, 1.0)
    assert (second["quantity"], second["discount"], second["order_id"]) == (1, 0.0, "shop:o1")
    (view,) = feed.relations["VIEWED"].to_pylist()
    assert view["at"].isoformat() == "2024-01-01T09:00:00+00:00"
    assert feed.nodes["SearchTerm"].to_pylist() == [{"id": "running shoes", "text": "Running SHOES"}]
    assert feed.relations["RATED"]["rating"].to_pylist() == [5.0]
    assert set(feed.nodes["User"]["id"].to_pylist()) == {NAMES.pseudonym("shop", raw) for raw in ("42", "43")}
    assert "Product" not in feed.nodes


def test_rows_without_event_ids_keep_their_names_and_equal_rows_stay_apart(tmp_path: Path) -> None:
    rows = "user_id,type,product_id,at\n42,view,p1,2024-01-01\n42,view,p1,2024-01-01\n42,view,p1,2024-01-02\n"
    feed = read(shop(tmp_path, behavior=rows))
    lines = feed.relations["VIEWED"]["line_id"].to_pylist()
    assert len(set(lines)) == 3
    assert read(tmp_path).relations["VIEWED"]["line_id"].to_pylist() == lines


def test_no_raw_user_id_and_no_personal_column_gets_in(tmp_path: Path) -> None:
    users = "id,age,email\nsecret-user-7,25-34,ada@example.org\n"
    behavior = "user_id,type,product_id,at\nsecret-user-7,view,p1,2024-01-01\n"
    feed = read(shop(tmp_path, users=users, behavior=behavior))
    text = str([table.to_pylist() for _, table in feed.tables()])
    assert "secret-user-7" not in text
    assert "ada@example.org" not in text
    (reject,) = feed.rejects
    assert (reject.file, reject.row, reject.field) == ("users.csv", 1, "email")


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ("42,purchase,p1,2024-13-01,1,5,,,,,", "at"),
        ("42,purchase,p1,2024-01-01,0,5,,,,,", "quantity"),
        ("42,purchase,p1,2024-01-01,1.5,5,,,,,", "quantity"),
        ("42,purchase,p1,2024-01-01,1,,,,,,", "amount"),
        ("42,purchase,p1,2024-01-01,1,-5,,,,,", "amount"),
        ("42,purchase,,2024-01-01,1,5,,,,,", "product_id"),
        (",view,p1,2024-01-01,,,,,,,", "user_id"),
        ("42,stare,p1,2024-01-01,,,,,,,", "type"),
        ("42,rating,p1,2024-01-01,,,,,6,,", "rating"),
        ("42,rating,p1,2024-01-01,,,,,,,", "rating"),
        ("42,search,,2024-01-01,,,,,,,", "query"),
        ("42,view,p1,2024-01-01,,,,,,,e1", "event_id"),
        ("42,view,p1", "(row)"),
    ],
)
def test_a_bad_row_is_refused_alone(tmp_path: Path, row: str, field: str) -> None:
    feed = read(shop(tmp_path, behavior=BEHAVIOR + row + "\n"))
    (reject,) = feed.rejects
    assert (reject.file, reject.row, reject.field) == ("behavior.csv", 7, field)
    assert feed.relation_count == 5
    assert not feed.partial


@pytest.mark.parametrize(
    ("row", "field", "value"),
    [
        ("p4,,,,,1,", "title", ""),
        ("p1,Again,,,,1,", "id", "p1"),
        ('p4,Broken,,,,"9,50",', "price", "9,50"),
        ("p4,Broken,,,,1,red", "attributes", "red"),
        ("p4,Broken,,,,1", "(row)", "p4,Broken,,,,1"),
    ],
)
def test_a_bad_catalogue_row_makes_the_feed_partial(tmp_path: Path, row: str, field: str, value: str) -> None:
    feed = read(shop(tmp_path, products=PRODUCTS + row + "\n"))
    (reject,) = feed.rejects
    assert (reject.file, reject.row, reject.field, reject.value) == ("products.csv", 6, field, value)
    assert feed.partial
    assert feed.nodes["Product"].num_rows == 3


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "none of products.csv, users.csv and behavior.csv is there"),
        ({"products": ""}, "products.csv: the file is empty"),
        ({"products": "id,title\n"}, "a catalogue without products"),
        ({"products": "id,name\np1,x\n"}, "products.csv: the column 'title' is missing; the header has id, name"),
        ({"products": "id,title,title\np1,x,y\n"}, "the column 'title' stands twice"),
        ({"products": "id,title\np1,Caf\u00e9\n".encode("latin-1")}, r"not UTF-8: byte 0xe9 at position 15 \(line 2\)"),
        ({"products": "id,title\np1,x\n".encode("utf-16")}, "not UTF-8: byte 0xff at position 0"),
        (
            {"behavior": "user_id,type,at\n42,view,2024-01-01\n"},
            "rows of type view, so the column 'product_id' is needed",
        ),
        ({"behavior": "user_id,type,product_id,at\n42,purchase,p1,2024-01-01\n"}, "the column 'amount' is needed"),
        ({"products": "id,title,prize\np1,x,1\n"}, "the column 'prize' is not known and 'price' is missing: rename it"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(tmp_path: Path, files: dict[str, str | bytes], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read(shop(tmp_path, **files))
    assert "\n" not in str(caught.value)


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    feed = read(shop(tmp_path, products=b"\xef\xbb\xbfid,title\np1,x\n"))
    assert feed.nodes["Product"]["id"].to_pylist() == ["shop:p1"]


def test_line_numbers_count_breaks_in_values_and_refused_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('id,title\n1,"two\nlines"\n2\n3,"a\nb\nc"\n4,"x\ny",too many\n5,last\n')
    sheet = read_csv(path, ("id",))
    assert dict(zip(sheet.text("id"), sheet.lines.tolist(), strict=True)) == {"1": 2, "3": 5, "5": 10}
    assert [reject.row for reject in sheet.rejects] == [4, 8]


def test_rejects_are_kept_whole_and_private(tmp_path: Path) -> None:
    feed = read(shop(tmp_path, behavior=BEHAVIOR + "42,stare,p1,2024-01-01,,,,,,,\n"))
    path = write_rejects(tmp_path / "rejects", "ingest-1", feed.rejects)
    assert path is not None
    assert path.read_text().splitlines() == [
        "file,row,field,reason,value",
        'behavior.csv,7,type,"not one of purchase, view, search, rating",stare',
    ]
    assert path.stat().st_mode & 0o077 == 0
    assert write_rejects(tmp_path / "rejects", "ingest-2", []) is None
    assert replace(feed, rejects=[]).rejects == []
