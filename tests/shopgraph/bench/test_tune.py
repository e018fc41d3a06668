"""Tuning on a year without its test weeks: what may be searched, what is found, what is written back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from accuracy_model import CHOSEN as COMMITTED
from accuracy_model import FUSED_ENCODERS, SEED, TEXT_AND_GRAPH, VARIANTS, Shop
from search_space import PEER_SPACES, Number, defaults_of, nested, space_of, values_in
from shop_year import open_year
from study import Budget, Tuned
from tune import CHOSEN_FILE, Job, jobs_of, main, tune, write_back

from shopgraph.collaborative.peers import PEERS, fit_peer
from shopgraph.dataset.purchases import Purchases, to_ms
from shopgraph.embed.encoders import ENCODERS
from shopgraph.errors import ConfigurationError, InputError
from shopgraph.learning.overrides import configured
from shopgraph.ranking.candidates import CandidateConfig

PLENTY = 1e9
CHOSEN: dict[str, Any] = {
    "peers": {"popularity": {"all": {"weeks": 52}, "novel": {}}, "page_rank": {"cold": {}}},
    "encoders": {"graphsage": {"encoder": "graphsage", "dimension": 16, "affinity_width": 0, "loop": {"epochs": 1}}},
    "fused_encoders": {"graphsage": 1},
    "ranker": {"novel": {"sources": ["popularity", "item_knn"], "trees": {"rounds": 10, "losses": ["lambdarank"]}}},
}


def jobs(*models: str) -> list[Job]:
    return [job for job in jobs_of(CHOSEN) if job.model in models]


def test_the_test_weeks_are_not_there_to_be_read(year: Path) -> None:
    assert not (year / "test").exists()
    with pytest.raises(InputError, match="test"):
        open_year(year)


def test_the_length_of_a_season_is_found(year: Path, tmp_path: Path) -> None:
    everywhere, novel = tune(year, tmp_path / "tuning", CHOSEN, jobs("popularity"), Budget(PLENTY, 8))
    assert everywhere.before < everywhere.after
    assert everywhere.values["weeks"] < 8
    assert novel.before <= novel.after


def test_every_kind_of_model_is_tuned_without_the_test_weeks(year: Path, tmp_path: Path) -> None:
    asked = jobs("page_rank", "graphsage", "fused")
    found = tune(year, tmp_path / "tuning", CHOSEN, asked, Budget(PLENTY, 2))
    assert [(each.model, each.setting) for each in found] == [
        ("page_rank", "cold"),
        ("graphsage", "novel"),
        ("fused", "novel"),
    ]
    assert all(each.trials == 2 and not each.failed and 0 < each.before <= each.after <= 1 for each in found)


def test_a_second_run_of_the_same_budget_asks_nothing(year: Path, tmp_path: Path) -> None:
    first, second = (tune(year, tmp_path / "tuning", CHOSEN, jobs("popularity"), Budget(PLENTY, 3)) for _ in range(2))
    assert first == second


def test_an_option_that_is_not_searched_begins_another_study(year: Path, tmp_path: Path) -> None:
    journals = tmp_path / "tuning"
    tune(year, journals, CHOSEN, jobs("graphsage"), Budget(PLENTY, 1))
    other = CHOSEN | {"encoders": {"graphsage": CHOSEN["encoders"]["graphsage"] | {"dimension": 24}}}
    tune(year, journals, other, jobs("graphsage"), Budget(PLENTY, 1))
    assert len(list(journals.glob("graphsage-novel-*.journal"))) == 2


def test_every_model_has_a_space_that_holds_its_committed_and_its_default_configuration() -> None:
    committed = json.loads(CHOSEN_FILE.read_text())
    found = list(jobs_of(committed))
    for job in found:
        space = space_of(job.kind, job.model)
        assert values_in(job.options(committed), space, job.model).keys() == space.keys()
        values_in(defaults_of(job.kind, job.model), space, job.model)
    assert PEER_SPACES.keys() == PEERS.keys() == {job.model for job in found if job.kind == "peer"}
    assert {job.model for job in found if job.kind == "encoder"} == ENCODERS.keys()


def test_rounding_leaves_no_range() -> None:
    spaces = [*PEER_SPACES.values(), space_of("encoder", "gcn"), space_of("fused", "fused")]
    bounds = [
        (part.low, part.high)
        for space in spaces
        for part in space.values()
        if isinstance(part, Number) and isinstance(part.low, float)
    ]
    assert bounds
    assert all(float(f"{bound:.3g}") == bound for pair in bounds for bound in pair)


def test_a_committed_value_outside_the_space_is_refused_before_the_first_trial(year: Path, tmp_path: Path) -> None:
    wide = CHOSEN | {"peers": {"popularity": {"all": {"weeks": 500}}}}
    with pytest.raises(ConfigurationError, match=r"peers\.popularity\.all: weeks = 500 lies outside"):
        tune(year, tmp_path / "tuning", wide, jobs("popularity")[:1], Budget(PLENTY, 1))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "ease", "eese"], "no model is called eese; there are attribute_affinity"),
        (["--only", "ease", "--seconds", "0"], "--seconds must be above 0"),
        (["--only", "ease", "--trials", "0"], "--trials at least 1"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_before_the_year_is_read(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert said in capsys.readouterr().err


def test_what_does_better_is_written_back_and_every_other_line_stays(tmp_path: Path) -> None:
    path = tmp_path / "chosen.json"
    before = CHOSEN_FILE.read_text()
    path.write_text(before)
    found = {
        Job("peer", "ease", "all", ("peers", "ease", "all")): tuned({"regularisation": 55.5, "power": 0.25}),
        Job("peer", "ials", "novel", ("peers", "ials", "novel")): tuned(None),
        Job("encoder", "lightgcn", "novel", ("encoders", "lightgcn")): tuned({"optimiser.learning_rate": 0.05}),
    }
    write_back(path, found)
    expected = json.loads(before)
    expected["peers"]["ease"]["all"] |= {"regularisation": 55.5, "power": 0.25}
    expected["encoders"]["lightgcn"]["optimiser"]["learning_rate"] = 0.05
    assert path.read_text() == json.dumps(expected, indent=1) + "\n"
    assert [item.name for item in tmp_path.iterdir()] == ["chosen.json"]


def test_nothing_better_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "chosen.json"
    path.write_bytes(CHOSEN_FILE.read_bytes())
    write_back(path, dict.fromkeys(jobs_of(json.loads(CHOSEN_FILE.read_text())), tuned(None)))
    assert path.read_bytes() == CHOSEN_FILE.read_bytes()


def test_places_become_mappings_in_mappings() -> None:
    assert nested({"a.b": 1, "a.c.d": 2, "e": 3}) == {"a": {"b": 1, "c": {"d": 2}}, "e": 3}


def tuned(values: dict[str, Any] | None) -> Tuned:
    return Tuned("model", "setting", 2, 0.1, 0.2, 1.0, values)


def test_a_ranker_without_the_graph_sees_nothing_of_any_encoder_nor_of_text_with_graph(year: Path) -> None:
    part = open_year(year, ("validation",))
    shop = Shop(part, ["popularity", TEXT_AND_GRAPH], year, CandidateConfig()).asking(CandidateConfig(depth=5))
    rows = shop.examples(to_ms(part.learned.before), part.settings("validation")["cold"])
    told = {f"{name}_{kind}" for name in (*FUSED_ENCODERS, TEXT_AND_GRAPH) for kind in ("score", "rank")}
    assert told <= set(rows.features.names)
    assert not told & set(rows.without_groups(*VARIANTS["ours_without_graph"]).features.names)


def test_a_source_named_with_a_setting_is_fitted_as_tuned_there(year: Path) -> None:
    learned = open_year(year, ("validation",)).learned
    shop = Shop(open_year(year, ("validation",)), [], year, CandidateConfig())
    moment, rows = to_ms(learned.before), np.arange(2)
    config = configured(PEERS["rp3beta"].config(), COMMITTED["peers"]["rp3beta"]["novel"])
    tuned_as_stated = fit_peer("rp3beta", Purchases.of(learned), moment, None, config, SEED)(rows)
    assert np.allclose(shop._source(moment, "rp3beta/novel")(rows), tuned_as_stated)
    assert not np.allclose(shop._source(moment, "rp3beta")(rows), tuned_as_stated)
