"""What the models of the knowledge-graph bench are given, and what ranks where they say nothing."""

from __future__ import annotations

import kg_models
import numpy as np
from kg_data import AT_MS, END
from source_tables import ends_table, node_table, purchase_table

from shopgraph.dataset.snapshot import Snapshot, assemble


def snapshot() -> Snapshot:
    """The first two users share a product and the second bought one more; the last user bought nothing.

    The fourth product, which nobody bought, states what the third does.
    """
    nodes = {
        "User": node_table("User", id=["a", "b", "c"]),
        "Product": node_table("Product", id=["p", "q", "r", "s"]),
        "Attribute": node_table("Attribute", id=["k=v"], key=["k"], value=["v"]),
    }
    users, products = np.array([0, 1, 1]), np.array([0, 0, 2])
    relations = {
        "PURCHASED": purchase_table(nodes, users, products, np.full(3, AT_MS), ["1", "2", "3"]),
        "HAS_ATTRIBUTE": ends_table([("r", "k=v"), ("s", "k=v")]),
    }
    return assemble(nodes, relations, END)


def test_page_rank_reaches_what_only_the_graph_knows_and_popularity_ranks_for_strangers() -> None:
    for fit in kg_models.fits("page_rank", "lastfm", snapshot()).values():
        scores = fit()(np.arange(3))
        assert scores[0, 0] > scores[0, 2] > scores[0, 3] > scores[0, 1] == 0
        assert scores[2].tolist() == [2, 0, 1, 0]


def test_a_model_whose_trials_are_all_left_out_is_not_fitted() -> None:
    assert not kg_models.fits("ease", "book-crossing", snapshot())
    assert list(kg_models.fits("graphsage", "book-crossing", snapshot())) == ["sampled_softmax"]
    assert len(kg_models.fits("ease", "lastfm", snapshot())) == 2
