from __future__ import annotations

import pytest

from shopgraph.dataset.vocabulary import Vocabulary
from shopgraph.errors import InputError


def test_rows_and_ids_are_each_other_s_inverse() -> None:
    vocabulary = Vocabulary("Product", ["b", "a", "c"])
    assert vocabulary.rows(["c", "b"]).tolist() == [2, 0]
    assert [vocabulary.ids[row] for row in vocabulary.rows(["a", "b", "c"])] == ["a", "b", "c"]
    assert vocabulary.known(["a", "newcomer"]).tolist() == [1, -1]


def test_an_unseen_id_is_named() -> None:
    with pytest.raises(InputError, match="Product 'newcomer' is not among the 1 of this snapshot"):
        Vocabulary("Product", ["a"]).row("newcomer")


def test_an_id_twice_is_named() -> None:
    with pytest.raises(InputError, match="'b' stands twice"):
        Vocabulary("Product", ["a", "b", "b"])
