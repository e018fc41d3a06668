"""The reader of the labelled pairs with knowledge graphs, on tiny folders of the same format."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path

import kg_data
import numpy as np
import pytest

from shopgraph.dataset.purchases import Purchases
from shopgraph.errors import InputError

FILES = {
    "lastfm": {
        "items": ("item_id,lastfm_artist_id,artist_name", "0,2,Diary", '1,3,"Forest, the"', "2,4,Moi"),
        "ratings": ("user_id,item_id,label", "7,0,1", "7,1,1", "7,2,0", "5,2,1", "5,0,0"),
        "kg": (
            "head,relation_id,tail,relation",
            "0,0,3,music.artist.origin",
            "0,0,3,music.artist.origin",
            "2,0,3,music.artist.origin",
            "2,1,0,people.person.child",
            # the second hop: said of no item
            "3,2,4,location.contains",
        ),
    },
    "book-crossing": {
        "items": ("item_id,isbn,title,author,year,publisher", "1,002,Callan,Wright,2001,Harper", "0,006,,,,"),
        "ratings": ("user_id,item_id,label", "0,0,1", "0,1,0"),
        "kg": ("head,relation_id,tail", "0,1,2", "1,1,2", "2,0,1"),
    },
}


def folder(path: Path, name: str, **changed: Iterable[str]) -> Path:
    found = path / name
    found.mkdir()
    for file, rows in {**FILES[name], **changed}.items():
        with gzip.open(found / f"{file}.csv.gz", "wt") as opened:
            opened.write("\n".join(rows) + "\n")
    return found


def test_pairs_are_numbered_by_user_and_item(tmp_path: Path) -> None:
    data = kg_data.read_labelled_pairs(folder(tmp_path, "lastfm"))
    assert data.shape == (2, 3)
    assert data.users.tolist() == [1, 1, 1, 0, 0]
    assert data.products.tolist() == [0, 1, 2, 2, 0]
    assert data.positive.tolist() == [True, True, False, True, False]


def test_what_is_stated_of_an_item_is_an_attribute_of_it_once(tmp_path: Path) -> None:
    whole = kg_data.read_labelled_pairs(folder(tmp_path, "lastfm")).snapshot(np.arange(5))
    assert whole.nodes["Product"]["title"].to_pylist() == ["Diary", "Forest, the", "Moi"]
    assert whole.ids("Attribute") == ["music.artist.origin=3", "people.person.child=0"]
    stated = whole.relations["HAS_ATTRIBUTE"]
    assert list(zip(stated["start"].to_pylist(), stated["end"].to_pylist(), strict=True)) == [(0, 0), (2, 0), (2, 1)]


def test_books_have_authors_where_named_and_relations_go_by_number(tmp_path: Path) -> None:
    whole = kg_data.read_labelled_pairs(folder(tmp_path, "book-crossing")).snapshot(np.arange(2))
    assert whole.nodes["Product"]["title"].to_pylist() == ["", "Callan"]
    assert whole.ids("Author") == ["Wright"]
    assert whole.relations["WRITTEN_BY"]["start"].to_pylist() == [1]
    assert whole.ids("Attribute") == ["relation 1=2"]


def test_a_snapshot_holds_the_positives_of_its_rows_at_one_instant(tmp_path: Path) -> None:
    data = kg_data.read_labelled_pairs(folder(tmp_path, "lastfm"))
    bought = Purchases.of(data.snapshot(np.array([0, 2, 3, 4])))
    assert bought.keys().tolist() == [2, 3]  # user 0 with product 2, user 1 with product 0
    assert len(set(bought.times)) == 1


def test_a_setting_asks_users_with_a_known_positive_and_excludes_it(tmp_path: Path) -> None:
    data = kg_data.read_labelled_pairs(folder(tmp_path, "lastfm"))
    setting = data.setting(np.array([0, 2, 4]), np.array([1, 3]))
    assert setting.users.tolist() == [1]
    assert [setting.truth.indices.tolist(), setting.excluded.indices.tolist()] == [[1], [0]]


def test_splits_share_no_row_and_follow_their_seed(tmp_path: Path) -> None:
    rated = ["user_id,item_id,label", *(f"{user},{item},{item % 2}" for user in range(50) for item in range(3))]
    data = kg_data.read_labelled_pairs(folder(tmp_path, "lastfm", ratings=rated))
    first, again, other = (data.split(seed) for seed in (0, 0, 1))
    assert [len(first.train), len(first.validation), len(first.test)] == [90, 30, 30]
    assert sorted([*first.train, *first.validation, *first.test]) == list(range(150))
    assert first.test.tolist() == again.test.tolist()
    assert first.test.tolist() != other.test.tolist()


@pytest.mark.parametrize(
    ("file", "column"), [("items", "artist_name"), ("ratings", "label"), ("kg", "tail"), ("kg", "relation")]
)
def test_a_missing_column_is_named_with_its_file(tmp_path: Path, file: str, column: str) -> None:
    head, *rows = FILES["lastfm"][file]
    names = ["other" if name == column else name for name in head.split(",")]
    with pytest.raises(InputError, match=rf"{file}\.csv\.gz has no column '{column}'"):
        kg_data.read_labelled_pairs(folder(tmp_path, "lastfm", **{file: (",".join(names), *rows)}))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("5,9,1", "names item 9, which items.csv.gz lacks"),
        ("5,1,2", "has label 2: 0 or 1 is needed"),
        ("5,1,", "has label None: 0 or 1 is needed"),
        ("x,1,1", r"ratings\.csv\.gz can't be read: .*'x'"),
    ],
)
def test_a_bad_rating_is_named(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        kg_data.read_labelled_pairs(folder(tmp_path, "lastfm", ratings=(*FILES["lastfm"]["ratings"], row)))


def test_a_missing_file_or_unknown_data_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no known data set"):
        kg_data.read_labelled_pairs(tmp_path)
    found = folder(tmp_path, "lastfm")
    (found / "kg.csv.gz").unlink()
    with pytest.raises(InputError, match=r"kg\.csv\.gz can't be read"):
        kg_data.read_labelled_pairs(found)
