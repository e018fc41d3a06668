"""Fusion against hand arithmetic."""

from __future__ import annotations

import pytest

from shopgraph.errors import ConfigurationError
from shopgraph.recommend.candidate import Candidate
from shopgraph.recommend.evidence import Facts
from shopgraph.recommend.explanation import explain
from shopgraph.recommend.fusion import Blend, Fused, FusionConfig, fuse
from shopgraph.recommend.rerank import diversified, explored, rerank


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


def test_settings_change_what_they_name_and_nothing_else() -> None:
    usual = FusionConfig()
    changed = usual.changed({"novel": {"weights": {"mine": 0.2, "popular_lately": 0}, "rank_offset": 9}}, "here")
    assert changed.novel.weights == {**usual.novel.weights, "mine": 0.2, "popular_lately": 0}
    assert changed.novel.rank_offset == 9
    assert "mine" in changed.sources
    assert "popular_lately" not in changed.novel.sources
    assert changed.repeat == usual.repeat


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"navel": {}}, "here: navel: Unexpected keyword argument"),
        ({"novel": {"weight": {}}}, "here: novel.weight: Unexpected keyword argument"),
        ({"novel": {"weights": {"mine": -1}}}, r"here: novel\.weights\.mine: Input should be greater .* \(got -1\)"),
        ({"novel": {"weights": {"mine": "loud"}}}, "novel.weights.mine: Input should be a valid number"),
        ({"novel": {"weights": [1]}}, "novel.weights: Input should be a valid"),
        ({"novel": 3}, "here: novel: Input should be a dictionary"),
        ({"novel": {"rank_offset": -1}}, "here: novel.rank_offset: Input should be greater than -1"),
    ],
)
def test_settings_that_mean_nothing_are_refused_by_field(fields: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        FusionConfig().changed(fields, "here")


def test_the_next_is_relevant_and_unlike_those_before_it() -> None:
    """b is nearly a; c is at a right angle; d has no vector and is like nothing. Relevance: 1, .917, .167 and 0."""
    fused = [Fused(name, score, ("x",), None) for name, score in [("a", 4.0), ("b", 3.8), ("c", 2.0), ("d", 1.6)]]
    vectors = {"a": [1.0, 0.0], "b": [0.8, 0.6], "c": [0.0, 1.0]}

    def order(diversity: float, n: int = 4) -> str:
        return "".join(item.id for item in diversified(fused, vectors, n, diversity))

    assert order(0.0) == "abcd"
    # after a: b has .7 * .917 - .3 * .8 = .402, c .7 * .167 = .117
    assert order(0.3, 2) == "ab"
    # after a: b has .5 * .917 - .5 * .8 = .058, c .083, d 0; after c: b .058 still, d 0
    assert order(0.5) == "acbd"
    assert order(1.0, 2) == "ac"
    assert diversified([], vectors, 3, 0.5) == []
    assert [item.id for item in diversified(fused, {}, 3, 0.5)] == ["a", "b", "c"]


@pytest.mark.parametrize("scores", [[-0.2, -0.5, -1.0], [0.0, -0.5, -1.0], [2.0, 2.0, 2.0]])
def test_scores_of_any_sign_say_what_is_relevant(scores: list[float]) -> None:
    fused = [Fused(name, score, ("x",), None) for name, score in zip("abc", scores, strict=True)]
    assert [item.id for item in diversified(fused, {}, 3, 0.5)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        (("popular_in_segment",), "Bought lately by people of your segment"),
        (("ranker", "ease"), "Bought by people who buy what you buy"),
        (("graph",), "Close to what you like in the learned graph"),
        (("mine",), "Ranked high for you by the shop"),
    ],
)
def test_where_nothing_leads_to_a_product_its_source_speaks_for_itself(sources: tuple[str, ...], said: str) -> None:
    reason = explain("u_me", Fused("a", 1.0, sources, None), Facts("A", 0, 0, None, []))
    assert (reason.text, reason.path) == (said, [])


def test_the_last_places_of_a_page_go_to_what_few_lists_name() -> None:
    fused = [Fused(name, 1.0 - place / 10, ("a",), None) for place, name in enumerate("abcdefg")]
    listed = {"a": 1, "b": 9, "c": 9, "d": 5, "e": 2, "f": 9, "g": 2}

    def found(weight: float, listed: dict[str, int]) -> str:
        return "".join(item.id for item in explored(fused, 4, weight, listed))

    assert found(0.0, listed) == "abcdefg"
    assert found(0.5, listed) == "abcdefg"  # d 0.7 + 0.15 / 5 is above e 0.6 + 0.15 / 2
    assert found(2.0, listed) == "abcedfg"  # e 0.6 + 0.6 / 2 is above c 0.8 + 0.6 / 9 and d 0.7 + 0.6 / 5
    assert found(4.0, listed) == "abegcdf"  # e 1.2 and g 1.0, c 0.93 and d 0.94
    assert found(4.0, {"f": 3}) == "abcfdeg"  # what no list names gains nothing
    assert explored(fused[:2], 4, 4.0, listed) == fused[:2]
