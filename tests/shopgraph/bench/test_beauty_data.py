"""The reader of Amazon Beauty on a tiny folder of the same format."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path

import beauty_data
import numpy as np
import pyarrow.compute as pc
import pytest

from shopgraph.dataset.purchases import Purchases
from shopgraph.errors import InputError

ITEMS = (
    "item_id,asin,title,brand,categories,s3rec_attribute_ids",
    '1,B03,"Comb, black",Acme,Beauty|Hair,1',
    "2,B01,Brush,Unknown,Beauty|Hair,1",
    "3,B02,Polish,Acme,Beauty|Manicure|Nails,1",
    "4,B04,File,,Beauty|Nails,1",
)
LINES = (
    "user_id,item_id,position,split_loo,split_pgpr",
    # ASINs of the first user: B01 B02 | B01's run ends, B03 B04 would go on, the last is the test item
    "1,2,1,train,train",
    "1,3,2,train,train",
    "1,4,3,valid,train",
    "1,1,4,test,test",
    "2,4,1,train,train",
    "2,1,2,train,train",
    "2,3,3,valid,train",
    "2,2,4,test,test",
)


def folder(path: Path, items: Iterable[str] = ITEMS, lines: Iterable[str] = LINES) -> Path:
    for name, rows in (("items", items), ("interactions", lines)):
        with gzip.open(path / f"{name}.csv.gz", "wt") as file:
            file.write("\n".join(rows) + "\n")
    return path


def test_cuts_leave_the_last_items_out(tmp_path: Path) -> None:
    beauty = beauty_data.read_beauty(folder(tmp_path), "file")
    test, valid = beauty.setting(0), beauty.setting(1)
    assert test.truth.indices.tolist() == [0, 1]
    assert valid.truth.indices.tolist() == [3, 2]
    assert test.excluded.sum() == 6
    assert valid.excluded.sum() == 4
    assert not test.truth.multiply(test.excluded).sum()
    for back, setting in ((0, test), (1, valid)):
        known = Purchases.of(beauty.whole.until(beauty.moment(back)))
        assert sorted(known.keys()) == sorted(
            user * 4 + item for user, item in zip(*setting.excluded.nonzero(), strict=True)
        )


def test_catalogue_has_brands_and_paths_from_the_root(tmp_path: Path) -> None:
    whole = beauty_data.read_beauty(folder(tmp_path), "file").whole
    assert whole.ids("Brand") == ["Acme"]
    assert whole.ids("Category") == ["Beauty", "Beauty > Hair", "Beauty > Nails", "Beauty > Nails > Manicure"]
    made = whole.relations["MADE_BY"]
    assert sorted(made["start"].to_pylist()) == [0, 2]
    within = whole.relations["IN_CATEGORY"]
    assert within["end"].take(pc.sort_indices(within["start"])).to_pylist() == [1, 1, 3, 2]
    assert whole.relations["VIEWED"].num_rows == 0


def test_rising_asins_are_one_run() -> None:
    runs = beauty_data.rising_runs(np.array([0, 0, 0, 1, 1]), np.array([0, 1, 0, 5, 6]))
    assert runs.tolist() == [1, 1, 2, 3, 3]


def test_ties_are_shuffled_within_runs_and_the_test_item_stays(tmp_path: Path) -> None:
    seen: dict[str, set[tuple[int, ...]]] = {"ties": set(), "none": set()}
    path = folder(tmp_path)
    for order, orders in seen.items():
        for seed in range(60):
            beauty = beauty_data.read_beauty(path, order, seed)
            first, second = (
                [int(beauty.products[(beauty.users == u) & (beauty.back == b)][0]) for b in (3, 2, 1, 0)]
                for u in (0, 1)
            )
            assert (first[-1], second[-1]) == (0, 1)
            orders |= {tuple(first), tuple(second)}
    # ranks of the ASINs are B01 B02 B04 | B03 for the first user, B04 | B03 | B02 | B01 for the second
    assert seen["ties"] == {
        (*rest, 0) for rest in [(1, 2, 3), (1, 3, 2), (2, 1, 3), (2, 3, 1), (3, 1, 2), (3, 2, 1)]
    } | {(3, 0, 2, 1)}
    assert len(seen["none"]) == 12


@pytest.mark.parametrize("column", ["asin", "brand", "categories"])
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    head = ITEMS[0].replace(column, "other")
    with pytest.raises(InputError, match=f"no column '{column}'"):
        beauty_data.read_beauty(folder(tmp_path, (head, *ITEMS[1:])), "file")


def test_a_missing_file_or_item_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"items\.csv\.gz can't be read"):
        beauty_data.read_beauty(tmp_path, "file")
    with pytest.raises(InputError, match="names item 9"):
        beauty_data.read_beauty(folder(tmp_path, lines=(*LINES, "3,9,1,train,train")), "file")
