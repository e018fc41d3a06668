"""What a fold's filters, graph vectors and texts say is the same whatever was bought after the fold's moment.

How many epochs the graph vectors are trained for is told by their version: here always one.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from shopgraph.dataset.purchases import to_ms
from shopgraph.dataset.snapshot import Snapshot, write_snapshot
from shopgraph.graph.connection import Graph
from shopgraph.ranking.training import GRAPH, TEXT, RankerConfig
from shopgraph.registry import Registry
from shopgraph.settings import Settings
from shopgraph.tracking import RunLog, silent
from shopgraph.wiring_ranking import _Sources
from shopgraph.wiring_training import Training

WEEKS_AFTER = 4
GRAPH_CONFIG = {"cuts": {"count": 2, "spacing_weeks": 3, "supervision_weeks": 3}, "loop": {"epochs": 1}}
"""One epoch: there is nothing to choose, so that two shops are trained alike."""
TEXT_CONFIG = {"tuning": {"steps": 4, "batch_pairs": 8}, "judged_pairs": 20, "judged_texts": 50, "exported": False}


def with_another_future(snapshot: Snapshot, moment: datetime) -> Snapshot:
    """From the moment on, everybody buys something else."""
    table = snapshot.relations["PURCHASED"]
    ends, times = table["end"].to_numpy(), table["at"].cast("int64").to_numpy()
    other = np.random.default_rng(2).integers(0, snapshot.nodes["Product"].num_rows, len(ends))
    ends = np.where(times >= to_ms(moment), other, ends)
    changed = table.set_column(table.schema.get_field_index("end"), table.schema.field("end"), [ends])
    relations = {**snapshot.relations, "PURCHASED": changed}
    return replace(snapshot, relations=relations).until(snapshot.before)


@pytest.fixture
def training(graph: Graph, tmp_path: Path) -> Training:
    settings = Settings(home=tmp_path / "home", tracker="none", torch_threads=1)
    return Training(settings, graph, RunLog(graph), Registry(settings.models))


def scores(training: Training, snapshot: Snapshot, version: str, moment_ms: int, folder: Path) -> dict[str, np.ndarray]:
    sources = _Sources(training, snapshot, RankerConfig(), version, None, folder, silent)(moment_ms)
    users = np.arange(snapshot.nodes["User"].num_rows)
    return {name: np.asarray(score(users)) for name, score in sources.items()}


def test_no_source_of_a_fold_sees_what_was_bought_after_it(shop, training: Training, tmp_path: Path) -> None:
    moment = shop.snapshot.before - timedelta(weeks=WEEKS_AFTER)
    found = []
    for name, snapshot in (("one", shop.snapshot), ("other", with_another_future(shop.snapshot, moment))):
        kept = write_snapshot(snapshot, training.settings.snapshots)
        folder = tmp_path / name
        folder.mkdir()
        past, holdout = training.hold_out(kept.id, 2, folder)
        tried = training.train_graph(past, holdout, folder / "tried", GRAPH_CONFIG)
        version = training.refit_graph(tried, kept.id, folder / "refit")
        found.append(scores(training, kept, version, to_ms(moment), folder / "ranker"))
        at_the_end = scores(training, kept, version, to_ms(kept.before), folder / "end")
        assert not np.array_equal(at_the_end[GRAPH], found[-1][GRAPH]), "vectors of a later moment are others"
    one, other = found
    assert one.keys() == other.keys() > {GRAPH, "ease", "page_rank"}
    for name in one:
        assert np.array_equal(one[name], other[name]), name


def test_texts_of_a_fold_do_not_see_what_was_bought_after_it(shop, training: Training, tmp_path: Path) -> None:
    moment = shop.snapshot.before - timedelta(weeks=WEEKS_AFTER)
    users, found = np.arange(shop.snapshot.nodes["User"].num_rows), []
    for name, snapshot in (("one", shop.snapshot), ("other", with_another_future(shop.snapshot, moment))):
        kept = write_snapshot(snapshot, training.settings.snapshots)
        version = training.train_text(kept.id, tmp_path / name / "text", TEXT_CONFIG)
        sources = _Sources(training, kept, RankerConfig(), None, version, tmp_path / name, silent)
        found.append({at: np.asarray(sources(to_ms(at))[TEXT](users)) for at in (moment, kept.before)})
    one, other = found
    assert np.array_equal(one[moment], other[moment])
    assert np.ptp(one[moment]) > 0
    assert not np.array_equal(one[shop.snapshot.before], other[shop.snapshot.before]), "each has learned what it saw"


def test_vectors_of_the_moment_itself_are_taken_and_others_are_trained_anew(
    shop, training: Training, tmp_path: Path
) -> None:
    kept = write_snapshot(shop.snapshot, training.settings.snapshots)
    past, holdout = training.hold_out(kept.id, 2, tmp_path)
    tried = training.train_graph(past, holdout, tmp_path / "tried", GRAPH_CONFIG)
    version = training.refit_graph(tried, kept.id, tmp_path / "refit")
    sources = _Sources(training, kept, RankerConfig(), version, None, tmp_path, silent)
    known = {kept.before: version, training.snapshot(past).before: tried}
    for moment, expected in known.items():
        assert sources._graph(to_ms(moment), version).version == expected
        assert not (tmp_path / f"graph-{to_ms(moment)}").exists()
    between = datetime.fromtimestamp(to_ms(kept.before) / 1000, UTC) - timedelta(weeks=1)
    sources._graph(to_ms(between), version)
    assert (tmp_path / f"graph-{to_ms(between)}").exists()
