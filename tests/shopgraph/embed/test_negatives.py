"""What a batch holds, and with what probability."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from shopgraph.embed.loss import approx_ndcg, sampled_softmax
from shopgraph.embed.negatives import NegativesConfig, Supervision
from shopgraph.errors import ConfigurationError

SHAPE = (4, 50)
KNOWN = np.array([0, 1, 52, 103])
POSITIVES = np.array([2, 3, 4, 60, 110, 111])


@pytest.fixture
def supervision() -> Supervision:
    return Supervision(KNOWN, POSITIVES, SHAPE, np.arange(SHAPE[1]))


def test_each_pair_is_positive_once_an_epoch(supervision: Supervision) -> None:
    batches = list(supervision.batches(2, None, NegativesConfig(count=10), np.random.default_rng(0)))
    assert [len(batch.users) for batch in batches] == [2, 1]
    keys = np.concatenate([(batch.users[batch.row] * SHAPE[1] + batch.pool[batch.column]).numpy() for batch in batches])
    assert sorted(keys.tolist()) == POSITIVES.tolist()
    for batch in batches:
        assert float(batch.weight.sum()) == pytest.approx(1.0)
        by_user = np.bincount(batch.row.numpy(), batch.weight.numpy())
        assert np.allclose(by_user, 1 / len(batch.users))


def test_positives_are_drawn_where_a_number_is_asked_for(supervision: Supervision) -> None:
    (batch,) = supervision.batches(10, 7, NegativesConfig(count=10), np.random.default_rng(0))
    keys = (batch.users[batch.row] * SHAPE[1] + batch.pool[batch.column]).numpy()
    assert np.bincount(batch.row.numpy()).tolist() == [7, 7, 7]
    assert np.isin(keys, POSITIVES).all()


@pytest.mark.parametrize("source", ["uniform", "popularity", "in_batch"])
def test_no_known_or_positive_pair_is_a_negative(source: str, supervision: Supervision) -> None:
    (batch,) = supervision.batches(10, None, NegativesConfig(source, 200), np.random.default_rng(1))
    excluded = {tuple(pair) for pair in batch.excluded.T.tolist()}
    users, pool = batch.users.tolist(), batch.pool.tolist()
    barred = {
        (row, column)
        for row, user in enumerate(users)
        for column, product in enumerate(pool)
        if user * SHAPE[1] + product in {*KNOWN.tolist(), *POSITIVES.tolist()}
    }
    assert excluded == barred
    assert len(set(pool)) == len(pool)
    if source == "in_batch":
        assert set(pool) == {2, 3, 4, 10, 11}


def test_inclusion_is_how_often_a_product_is_in_the_pool(supervision: Supervision) -> None:
    random, draws = np.random.default_rng(2), 4000
    for source in ("uniform", "popularity"):
        held, told = np.zeros(SHAPE[1]), np.zeros(SHAPE[1])
        for _ in range(draws):
            (batch,) = supervision.batches(10, 1, NegativesConfig(source, 20), random)
            pool = batch.pool.numpy()
            held[pool] += 1 / draws
            told[pool] = np.exp(batch.log_inclusion.numpy())
        negatives_only = np.setdiff1d(np.flatnonzero(told), POSITIVES % SHAPE[1])
        assert np.allclose(held[negatives_only], told[negatives_only], atol=0.04)
        if source == "popularity":
            assert not len(negatives_only)


def test_negatives_come_from_the_candidates_alone() -> None:
    supervision = Supervision(KNOWN, POSITIVES, SHAPE, np.arange(20, 30))
    (batch,) = supervision.batches(10, None, NegativesConfig(count=500), np.random.default_rng(0))
    assert set(batch.pool.tolist()) == {2, 3, 4, 10, 11, *range(20, 30)}


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="negatives 'hard'"):
        NegativesConfig("hard")


def test_shares_of_a_batch_make_it_whole(supervision: Supervision) -> None:
    (batch,) = supervision.batches(10, None, NegativesConfig(count=30), np.random.default_rng(3))
    logits = torch.randn(len(batch.users), len(batch.pool), generator=torch.Generator().manual_seed(0))
    for loss in (sampled_softmax, approx_ndcg):
        whole = loss(logits, batch.row, batch.column, batch.weight, batch.log_inclusion, batch.excluded)
        parts = []
        for first, last in ((0, 2), (2, 3)):
            part = batch.share(first, last)
            assert float(part.weight.sum()) == pytest.approx(1.0)
            found = loss(logits[first:last], part.row, part.column, part.weight, part.log_inclusion, part.excluded)
            parts.append(found * (last - first) / 3)
        assert float(sum(parts)) == pytest.approx(float(whole), abs=1e-6)
