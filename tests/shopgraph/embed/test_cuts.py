"""Supervision never feeds message passing, however a history is cut."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from shopgraph.dataset.purchases import WEEK_MS
from shopgraph.embed.cuts import CutsConfig, cut_graphs
from shopgraph.embed.message_graph import PURCHASED, MessageGraphs
from shopgraph.errors import ConfigurationError, InputError

BY_TIME = CutsConfig(count=3, spacing_weeks=3, supervision_weeks=3)
BY_FOLDS = CutsConfig(by="folds", count=4)
PRODUCTS = 24


def graphs_of(planted) -> MessageGraphs:
    return MessageGraphs(planted()[0], width=6, half_life_weeks=20.0, seed=7)


@pytest.mark.parametrize("config", [BY_TIME, BY_FOLDS], ids=["time", "folds"])
def test_no_positive_is_an_edge_of_its_graph(planted, config: CutsConfig) -> None:
    cuts, whole = cut_graphs(graphs_of(planted), config, seed=7)
    assert len(cuts) == config.count
    for cut in cuts:
        edges = cut.graph.relations[PURCHASED]
        passed = (edges.source * PRODUCTS + edges.target).numpy()
        assert len(cut.supervision.keys)
        assert not np.isin(cut.supervision.keys, passed).any()
        assert np.array_equal(np.sort(passed), cut.graph.known)
        back = cut.graph.relations["product", "rev_purchased", "user"]
        assert np.array_equal(np.sort((back.target * PRODUCTS + back.source).numpy()), cut.graph.known)
    assert len(whole.relations[PURCHASED]) == len(whole.known)


def test_folds_take_each_pair_once(planted) -> None:
    graphs = graphs_of(planted)
    cuts, _ = cut_graphs(graphs, BY_FOLDS, seed=7)
    together = np.concatenate([cut.supervision.keys for cut in cuts])
    assert np.array_equal(np.sort(together), graphs.purchases.keys())


def test_a_cut_by_time_is_what_the_past_alone_gives(planted) -> None:
    snapshot, _ = planted()
    cuts, _ = cut_graphs(graphs_of(planted), replace(BY_TIME, count=1), seed=7)
    moment = snapshot.before - timedelta(weeks=3)
    past = MessageGraphs(snapshot.until(moment), width=6, half_life_weeks=20.0, seed=7)
    found, alone = cuts[0].graph, past.before(past.end_ms)
    for name in ("user", "product"):
        assert np.allclose(found.position[name], alone.position[name])
    assert np.allclose(found.features["product"], alone.features["product"])
    assert np.allclose(found.popularity, alone.popularity)
    assert np.allclose(found.activity, alone.activity)
    assert np.array_equal(found.relations[PURCHASED].weight, alone.relations[PURCHASED].weight)


def test_what_was_paid_in_the_predicted_purchases_changes_nothing(planted) -> None:
    snapshot, _ = planted()
    graphs = graphs_of(planted)
    keys, moment = graphs.purchases.keys()[::4], graphs.end_ms - 3 * WEEK_MS
    bought = graphs.purchases.users * PRODUCTS + graphs.purchases.products
    for predicted, cut in (
        (np.isin(bought, keys), lambda these: these.without(keys)),
        (graphs.purchases.times >= moment, lambda these: these.before(moment)),
    ):
        lines = snapshot.relations["PURCHASED"]
        paid = pa.array(np.where(predicted, 1e6, lines["amount"].to_numpy()))
        dear = lines.set_column(lines.column_names.index("amount"), "amount", paid)
        relations = {**snapshot.relations, "PURCHASED": dear}
        other = MessageGraphs(replace(snapshot, relations=relations), 6, half_life_weeks=20.0, seed=7)
        assert np.allclose(cut(other).features["product"], cut(graphs).features["product"])
        whole, dearer = (each.before(each.end_ms).features["product"] for each in (graphs, other))
        assert not np.allclose(whole, dearer)


def test_a_history_too_short_to_cut_is_said(planted) -> None:
    with pytest.raises(InputError, match="no new pairs in the last 90 weeks"):
        cut_graphs(graphs_of(planted), CutsConfig(supervision_weeks=90), seed=7)
    with pytest.raises(InputError, match="9999 folds"):
        cut_graphs(graphs_of(planted), CutsConfig(by="folds", count=9999), seed=7)


def test_an_impossible_cut_is_refused() -> None:
    for wrong in ({"by": "weather"}, {"count": 0}, {"by": "folds", "count": 1}):
        with pytest.raises(ConfigurationError):
            CutsConfig(**wrong)
