"""What a batch holds, and with what probability."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from shopgraph.embed.loss import approx_ndcg, sampled_softmax
from shopgraph.embed.negatives import Batch, NegativesConfig, Supervision
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
    assert batch.rivals.tolist() == list(range(len(set(pool))))
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


def test_of_a_large_pool_every_third_product_stands_for_three(supervision: Supervision) -> None:
    random, everything = np.random.default_rng(2), np.zeros(SHAPE[1])
    asked = NegativesConfig(count=100_000, most=20)
    firsts = set()
    for _ in range(30):
        (batch,) = supervision.batches(10, None, asked, random)
        assert len(batch.pool) == SHAPE[1]
        assert np.diff(batch.rivals.numpy()).tolist() == [3] * (len(batch.rivals) - 1)
        assert torch.allclose(torch.exp(-batch.log_inclusion), torch.tensor(3.0))
        firsts.add(int(batch.rivals[0]))
        rivals = batch.pool[batch.rivals].numpy()
        everything[rivals] += 3 / 30
        users = batch.users.numpy()
        barred = {
            (row, place)
            for row, user in enumerate(users)
            for place, product in enumerate(rivals)
            if user * SHAPE[1] + product in {*KNOWN.tolist(), *POSITIVES.tolist()}
        }
        assert {tuple(pair) for pair in batch.excluded.T.tolist()} == barred
    assert firsts == {0, 1, 2}
    assert everything.mean() == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(("fields", "said"), [({"source": "hard"}, "negatives 'hard'"), ({"most": 0}, "most=0")])
def test_negatives_that_are_none_are_refused(fields: dict, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        NegativesConfig(**fields)


def test_shares_of_a_batch_make_it_whole(supervision: Supervision) -> None:
    (batch,) = supervision.batches(10, None, NegativesConfig(count=30), np.random.default_rng(3))
    scored = torch.randn(len(batch.users), len(batch.pool), generator=torch.Generator().manual_seed(0))
    for loss in (sampled_softmax, approx_ndcg):
        whole = loss(*_scored(scored, batch))
        parts = []
        for first, last in ((0, 2), (2, 3)):
            part = batch.share(first, last)
            assert float(part.weight.sum()) == pytest.approx(1.0)
            parts.append(loss(*_scored(scored[first:last], part)) * (last - first) / 3)
        assert float(sum(parts)) == pytest.approx(float(whole), abs=1e-6)


def _scored(scored: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, ...]:
    chosen = scored[batch.row, batch.column]
    return scored[:, batch.rivals], chosen, batch.row, batch.weight, batch.log_inclusion, batch.excluded
