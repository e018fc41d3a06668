"""Who sees what: shares as the weights say, always the same, independent from experiment to experiment; team draft."""

from __future__ import annotations

import random
from collections import Counter
from math import nan

import pytest
from scipy.stats import chi2_contingency, chisquare

from shopgraph.errors import ConfigurationError, InputError
from shopgraph.experiments.statistics import wins
from shopgraph.recommend.experiment import AB, INTERLEAVING, Experiment, Variant, uniform
from shopgraph.recommend.fusion import Fused
from shopgraph.recommend.interleaving import NO_TEAM, team_draft
from shopgraph.recommend.scenario import BUILT_IN, Scenario, read_scenarios

USERS = [f"u_{number}" for number in range(10_000)]
CHANCE = 0.001


def experiment(name: str = "e1", weights: tuple[float, ...] = (1.0, 2.0, 1.0), kind: str = AB) -> Experiment:
    return Experiment(name, name, "home", kind, tuple(Variant(f"v{i}", weight) for i, weight in enumerate(weights)))


def listed(text: str) -> list[Fused]:
    return [Fused(name, 1 / place, ("x",), None) for place, name in enumerate(text.split(), start=1)]


def test_ten_thousand_users_are_dealt_out_as_the_weights_say_and_stay_where_they_are() -> None:
    tried = experiment()
    dealt = [tried.assigned(user).name for user in USERS]
    counts = Counter(dealt)
    assert chisquare([counts["v0"], counts["v1"], counts["v2"]], [2_500, 5_000, 2_500]).pvalue > CHANCE
    again = Experiment.read({"id": "e1", "name": "e1", "scenario": "home", "kind": AB, "variants": tried.variants_json})
    assert again == tried
    assert [again.assigned(user).name for user in reversed(USERS)] == dealt[::-1]


def test_two_experiments_deal_independently() -> None:
    one, other = experiment("e1", (1.0, 1.0)), experiment("e2", (1.0, 1.0))
    pairs = Counter((one.assigned(user).name, other.assigned(user).name) for user in USERS)
    table = [[pairs[first, second] for second in ("v0", "v1")] for first in ("v0", "v1")]
    assert chi2_contingency(table).pvalue > CHANCE
    assert min(min(row) for row in table) > 2_300, "each quarter of the users is there"


def test_a_uniform_number_is_below_one_and_its_parts_do_not_run_together() -> None:
    numbers = [uniform("salt", user) for user in USERS]
    assert 0 <= min(numbers) < 0.001
    assert 0.999 < max(numbers) < 1
    assert uniform("ab", "c") != uniform("a", "bc")


@pytest.mark.parametrize(
    ("kind", "weights", "said"),
    [
        ("abc", (1, 1), "an experiment is one of ab, interleaving"),
        (AB, (1,), "has 2 to 10 variants, this one has 1"),
        (AB, (1, 0), "v1: weight = 0: a weight is above 0"),
        (AB, (nan, 1), "v0: weight = nan"),
        (INTERLEAVING, (1, 1, 1), "interleaving takes two variants of equal weight"),
        (INTERLEAVING, (1, 2), "interleaving takes two variants of equal weight"),
    ],
)
def test_an_experiment_that_cannot_be_is_refused(kind: str, weights: tuple[float, ...], said: str) -> None:
    with pytest.raises(InputError, match=said):
        experiment(kind=kind, weights=weights)
    with pytest.raises(InputError, match="each variant has a name of its own"):
        Experiment("e", "e", "home", AB, (Variant("same"), Variant("same")))


def test_captains_pick_in_turns_what_is_left_of_their_lists() -> None:
    """By hand: in round 0 the first picks a, the second b; in round 1 the second d, the first c; e goes by the coin."""
    merged, teams = team_draft(listed("a b c e"), listed("b d a e"), lambda number: number == 0)
    assert [item.id for item in merged] == ["a", "b", "d", "c", "e"]
    assert teams == {"a": 0, "b": 1, "d": 1, "c": 0, "e": 1}


def test_what_is_left_of_the_longer_list_belongs_to_no_team() -> None:
    merged, teams = team_draft(listed("a"), listed("a b c"), lambda number: True)
    assert [item.id for item in merged] == ["a", "b", "c"]
    assert teams == {"a": 0, "b": NO_TEAM, "c": NO_TEAM}
    assert team_draft([], [], lambda number: True) == ([], {})


def clicked(better: list[Fused], worse: list[Fused], liked: set[str], user: str) -> int:
    """+1 where the first five bring more clicks to the better list, -1 to the worse one; both sides of a user alike."""
    first = uniform("side", user) < 0.5
    lists = (better, worse) if first else (worse, better)
    merged, teams = team_draft(*lists, lambda number: uniform(user, str(number)) < 0.5)
    gained = Counter(teams[item.id] for item in merged[:5] if item.id in liked)
    better_team = 0 if first else 1
    return (gained[better_team] > gained[1 - better_team]) - (gained[better_team] < gained[1 - better_team])


def test_the_better_ranker_wins_and_equal_ones_do_not() -> None:
    """Each user likes four of forty products. One ranker puts them among its first eight, the other anywhere."""
    products, draw = [f"p{i}" for i in range(40)], random.Random(5)

    def told(better_knows: bool) -> Counter[int]:
        found = Counter[int]()
        for user in USERS[:500]:
            liked = draw.sample(products, 4)
            others = [product for product in products if product not in liked]
            top = draw.sample([*liked, *draw.sample(others, 4)], 8)
            knowing = [*top, *(product for product in others if product not in top)]
            blind, blinder = draw.sample(products, 40), draw.sample(products, 40)
            first = listed(" ".join(knowing if better_knows else blinder))
            found[clicked(first, listed(" ".join(blind)), set(liked), user)] += 1
        return found

    better, equal = told(True), told(False)
    judged = wins(better[-1], better[1], 0)
    assert judged.share.low > 0.7
    assert judged.p_value < 1e-6
    judged = wins(equal[-1], equal[1], 0)
    assert judged.share.low < 0.5 < judged.share.high
    assert judged.p_value > 0.01


def test_places_have_what_is_built_in_and_what_the_operator_says_of_all_and_of_one() -> None:
    places = read_scenarios(
        {"similar": {"weights": {"similar_text": 0.2}}},
        {"product": {"ranker": False, "diversity": 0.4}, "letter": {"fusion": {"novel": {"rank_offset": 9}}}},
    )
    assert list(places) == [*BUILT_IN, "letter"]
    assert places["home"] == Scenario().changed({"fusion": {"similar": {"weights": {"similar_text": 0.2}}}}, "")
    similar = places["product"].fusion.similar.weights
    assert similar == {"similar_baskets": 0.5, "similar_graph": 1.0, "similar_text": 0.2}
    assert (places["product"].ranker, places["product"].diversity) == (False, 0.4)
    assert (places["letter"].ranker, places["letter"].fusion.novel.rank_offset) == (True, 9)
    assert places["basket"].blend("repeat", of_visit=["session_neighbours"]).weights["session_neighbours"] == 3.0
    assert "session_neighbours" not in places["basket"].blend("repeat").weights
    assert places["search"].blend("search", ["text_search"]).sources == ["full_text_search"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"home": {"rankers": True}}, "SHOPGRAPH_SCENARIOS: home: rankers: Extra inputs are not permitted"),
        ({"home": {"ranker": "perhaps"}}, r"home: ranker: .*it is true, false, or a version .* \(got 'perhaps'\)"),
        ({"home": {"ranker": "ranker-1/../../x"}}, "home: ranker: .*it is true, false, or a version"),
        ({"home": {"diversity": 2}}, "home: diversity: Input should be less than or equal to 1"),
        ({"home": {"fusion": {"navel": {}}}}, "SHOPGRAPH_SCENARIOS: home: fusion: navel: Unexpected"),
        ({"home": {"fusion": {"novel": {"weights": {"mine": -1}}}}}, r"home: fusion: novel\.weights\.mine: Input"),
        ({"home": 3}, "SHOPGRAPH_SCENARIOS: home: changes: Input should be a valid dict"),
        ({"": {}}, "a place has a name of 1 to 60 characters"),
    ],
)
def test_a_place_that_means_nothing_is_refused_by_name_and_field(given: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        read_scenarios({}, given)
