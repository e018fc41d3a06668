"""Fusion against hand arithmetic."""

from __future__ import annotations

import pytest

from shopgraph.recommend.candidate import Candidate
from shopgraph.recommend.fusion import Blend, fuse
from shopgraph.recommend.rerank import rerank


def candidates(*names: str) -> list[Candidate]:
    return [Candidate(name, 1.0, "because" if name == "b" else None) for name in names]


def test_a_product_scores_weight_over_offset_plus_rank_in_each_list() -> None:
    fused = fuse({"x": candidates("a", "b"), "y": candidates("b", "c")}, Blend({"x": 1.0, "y": 0.5}, 60))
    assert [item.id for item in fused] == ["b", "a", "c"]
    assert [item.score for item in fused] == pytest.approx([1 / 62 + 0.5 / 61, 1 / 61, 0.5 / 62])


def test_the_loudest_source_comes_first_and_speaks_through_its_via() -> None:
    (b, _, _) = fuse({"x": candidates("a", "b"), "y": candidates("b", "c")}, Blend({"x": 0.1, "y": 5.0}, 60))
    assert (b.id, b.sources, b.via) == ("b", ("y", "x"), "because")


def test_ties_go_by_id_and_the_cut_skips_what_is_barred() -> None:
    fused = fuse({"x": candidates("z", "q"), "y": candidates("q", "z")}, Blend({"x": 1.0, "y": 1.0}, 10))
    assert [item.id for item in fused] == ["q", "z"]
    assert [item.id for item in rerank(fused, 1, {"q"})] == ["z"]
