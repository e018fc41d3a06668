"""`make bench-beauty`: leave-one-out on Amazon Beauty, full ranking: peers, our encoders and the learned fusion.

The data are not part of this project: without ../shared/data/amazon-beauty (or --data) the bench says so and ends.
The file tells only the order of a user's purchases, and orders those of one day by ASIN. The figures without a prefix
are those of the order `ties`, in which every tie is shuffled; see `beauty_data.Order` for the others.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import numpy as np
import scipy.sparse as sp
from beauty_data import Beauty, Order, read_beauty
from machine import OUTPUT, ROOT, show, write

from shopgraph.collaborative.peers import PEERS, fit_peer
from shopgraph.dataset.hetero import to_hetero
from shopgraph.dataset.purchases import Purchases, to_ms
from shopgraph.embed.config import GraphEmbeddingConfig
from shopgraph.embed.message_graph import catalogue_matrix
from shopgraph.embed.training import train_graph_embedding
from shopgraph.evaluation import Scorer, Setting, paired_bootstrap
from shopgraph.learning.overrides import configured
from shopgraph.ranking.candidates import CandidateConfig, find_candidates
from shopgraph.ranking.examples import Examples, SampleConfig, make_examples
from shopgraph.ranking.facets import facets_of
from shopgraph.ranking.lambdamart import LambdaMartConfig, Ranker, train
from shopgraph.ranking.past import Lines

DATA = ROOT.parent / "shared" / "data" / "amazon-beauty"
FOLDER = OUTPUT / "beauty"
SEED = 7
DEPTH = 10
TEST, VALIDATION, INNER = 0, 1, 2
"""Places counted back from a user's last purchase: the test item, the validation item, the last training item."""

PUBLISHED = {"SASRec": (0.0605, 0.0318), "S3-Rec": (0.0647, 0.0327), "TIGER": (0.0648, 0.0384)}
"""HR@10 and NDCG@10 in the file's order, as the data's README quotes them."""

BASELINE = "item_cosine"
PEER_CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "popularity": ("popularity", {"weeks": 10_000.0}),
    BASELINE: ("item_knn", {"likeness": "cosine", "neighbours": 12_101, "power": 0.0}),
    "item_knn": ("item_knn", {"power": 1.0, "half_life_weeks": 4.0}),
    "rp3beta": ("rp3beta", {"half_life_weeks": 4.0}),
    "page_rank": ("page_rank", {"power": 1.0, "half_life_weeks": 2.0, "catalogue_share": 0.4}),
    "attribute_affinity": ("attribute_affinity", {"half_life_weeks": 4.0}),
    "ials": ("ials", {}),
}
"""A model's peer and the configuration that the validation items prefer; a week is a place in the user's order."""

LAST_ONLY: dict[str, tuple[str, dict[str, Any]]] = {
    "item_knn_last": ("item_knn", {"power": 1.0, "half_life_weeks": 0.7}),
    "page_rank_last": ("page_rank", {"power": 1.0, "half_life_weeks": 0.7, "catalogue_share": 0.4}),
}
"""Sources of the ranker that hardly look beyond the latest purchase."""

NEXT_ITEM = {"by": "time", "count": 3, "spacing_weeks": 1, "supervision_weeks": 1}
ENCODERS: dict[str, tuple[dict[str, Any], int]] = {
    "graphsage": (
        {
            "encoder": "graphsage",
            "dimension": 64,
            "affinity_width": 0,
            "half_life_weeks": 4.0,
            "cuts": NEXT_ITEM,
            "loss": "sampled_softmax",
            "users_per_batch": 1500,
            "positives_per_user": 1,
        },
        3,
    ),
}
"""Each encoder's configuration and epochs."""

FUSED_ENCODER = "graphsage"
RANKER_SOURCES = ("item_knn", "item_knn_last", BASELINE, "page_rank", "page_rank_last", "attribute_affinity", "graph")
CANDIDATES = CandidateConfig(depth=60, groups={**CandidateConfig().groups, "page_rank_last": "attribute"})
SAMPLE = SampleConfig(negatives=60)
TREES = LambdaMartConfig(rounds=160, truncation_level=20, min_data_in_leaf=200)
TRAINING_USERS, JUDGING_USERS = 8_000, 2_500
"""Users whose last training item trees are grown for, and users whose validation item chooses the rounds."""
USERS_AT_ONCE = 4_000
VARIANTS: dict[str, tuple[str, ...]] = {"ours": (), "ours_without_graph": ("graph",)}
"""Groups of features that each variant of the ranker goes without; candidates are the same."""


@dataclass(frozen=True)
class Found:
    """Where each user's one right answer came among all products not bought before, 0 the first.

    Shapes:
        ranks: (judged users,), int64; anything from `DEPTH` on is a miss
    """

    ranks: np.ndarray

    @property
    def hits(self) -> np.ndarray:
        return (self.ranks < DEPTH).astype(np.float64)

    @property
    def gains(self) -> np.ndarray:
        """(judged users,): NDCG@10 of each, which with a single right answer is the discount of its rank."""
        return self.hits / np.log2(self.ranks + 2.0)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--data", type=Path, default=DATA)
    options.add_argument("--orders", nargs="*", choices=get_args(Order), default=["ties", "file"])
    options.add_argument(
        "--encoders", nargs="*", choices=list(ENCODERS), default=list(ENCODERS), help="none: the ranker goes without"
    )
    options.add_argument("--window", choices=("validation", "test"), default="test", help="which item is ranked")
    options.add_argument("--fresh", action="store_true", help="forget the vectors that earlier runs left")
    asked = options.parse_args()
    if not asked.data.is_dir():
        print(f"bench-beauty: skipped, {asked.data} is not there")
        return
    if asked.fresh:
        shutil.rmtree(FOLDER, ignore_errors=True)
    started = time.perf_counter()
    figures: dict[str, float] = {}
    tables: dict[str, Any] = {}
    for order in asked.orders:
        shop = Shop(read_beauty(asked.data, order, SEED), order, asked.encoders)
        found = shop.judged(TEST if asked.window == "test" else VALIDATION)
        figures |= keys(found, "beauty" if order == "ties" else f"beauty.{order}")
        tables[f"{asked.window} item, order: {order}"] = lines(found)
    figures["beauty.total_s"] = time.perf_counter() - started
    if asked.window == "test":
        print(f"written to {write('beauty', figures, tables)}")
    show(tables)


class Shop:
    """Models of one order of the data, at the moment before any place counted back from each user's last purchase."""

    def __init__(self, beauty: Beauty, order: str, encoders: Sequence[str]) -> None:
        self._beauty, self._order, self._encoders = beauty, order, encoders
        self._graph = FUSED_ENCODER in encoders
        self._purchases, self._lines = Purchases.of(beauty.whole), Lines.of(beauty.whole)
        self._catalogue = catalogue_matrix(to_hetero(beauty.whole.until(beauty.moment(INNER))))
        self._facets = facets_of(beauty.whole)

    def judged(self, back: int) -> dict[str, Found]:
        """Every model at a place: fitted on what came before it, the ranker trained on the place before validation."""
        setting, found = self._beauty.setting(back), {}
        for name in PEER_CONFIGS:
            found[name] = self._told(name, lambda name=name: ranks_of(self._peer(name, back), setting))
        for name in self._encoders:
            found[name] = self._told(name, lambda name=name: ranks_of(self._encoder(name, back), setting))
        rankers = self.rankers()
        return found | {name: self._told(name, lambda one=one: one) for name, one in self._fused(rankers, back).items()}

    def rankers(self) -> dict[str, Ranker]:
        """Trees for the last training item, every source fitted without it; the validation item stops them."""
        inner, chosen = self._some(INNER, TRAINING_USERS), self._some(VALIDATION, JUDGING_USERS)
        grown = self._examples(INNER, self._sources(INNER), inner, SAMPLE)
        asked = self._examples(VALIDATION, self._sources(VALIDATION), chosen)
        found = {}
        for name, groups in VARIANTS.items():
            if not self._graph and name == "ours":
                continue
            kept, cut = grown.without_groups(*groups), asked.without_groups(*groups)
            found[name] = train([kept], TREES, (cut, chosen), SEED, threads=2)
            first = ", ".join(f"{feature} {share:.2f}" for feature, share in list(found[name].importance().items())[:8])
            print(f"  {self._order:5} {name}: {found[name].rounds} rounds; {first}", flush=True)
        return found

    def _some(self, back: int, count: int) -> Setting:
        setting = self._beauty.setting(back)
        return of_users(setting, np.sort(np.random.default_rng(SEED).permutation(setting.users)[:count]))

    def _fused(self, rankers: Mapping[str, Ranker], back: int) -> dict[str, Found]:
        sources, setting = self._sources(back), self._beauty.setting(back)
        parts: dict[str, list[np.ndarray]] = {name: [] for name in rankers}
        for start in range(0, len(setting.users), USERS_AT_ONCE):
            part = of_users(setting, setting.users[start : start + USERS_AT_ONCE])
            asked = self._examples(back, sources, part)
            truth = setting.truth[part.users].indices[:, None]
            for name, ranker in rankers.items():
                hit = ranker.rank(asked.without_groups(*VARIANTS[name]), DEPTH) == truth
                parts[name].append(np.where(hit.any(axis=1), hit.argmax(axis=1), DEPTH))
        return {name: Found(np.concatenate(ranks)) for name, ranks in parts.items()}

    def _examples(
        self, back: int, sources: Mapping[str, Scorer], setting: Setting, sample: SampleConfig | None = None
    ) -> Examples:
        candidates = find_candidates(setting, sources, CANDIDATES)
        moment_ms = to_ms(self._beauty.moment(back))
        return make_examples(candidates, setting, self._lines, self._facets, moment_ms, sample, SEED)

    def _sources(self, back: int) -> dict[str, Scorer]:
        return {
            name: self._encoder(FUSED_ENCODER, back) if name == "graph" else self._peer(name, back)
            for name in RANKER_SOURCES
            if name != "graph" or self._graph
        }

    def _peer(self, name: str, back: int) -> Scorer:
        peer, options = (PEER_CONFIGS | LAST_ONLY)[name]
        config = configured(PEERS[peer].config(), options)
        return fit_peer(peer, self._purchases, to_ms(self._beauty.moment(back)), self._catalogue, config, SEED)

    def _encoder(self, name: str, back: int) -> Scorer:
        """Vectors of an encoder trained on what came before the place."""
        kept = FOLDER / f"{name}-{self._order}-{back}.npz"
        if not kept.exists():
            options, epochs = ENCODERS[name]
            past = self._beauty.whole.until(self._beauty.moment(back))
            config = configured(GraphEmbeddingConfig(), options)
            with TemporaryDirectory() as scratch:
                trained = train_graph_embedding(past, config, None, "cpu", SEED, Path(scratch), epochs=epochs)
            FOLDER.mkdir(parents=True, exist_ok=True)
            np.savez(kept, users=trained.vectors["User"].matrix, products=trained.vectors["Product"].matrix)
        stored = np.load(kept)
        users, products = stored["users"], stored["products"]
        return lambda rows: users[rows] @ products.T

    def _told(self, name: str, judge: Callable[[], Found]) -> Found:
        started = time.perf_counter()
        found = judge()
        seconds = time.perf_counter() - started
        print(
            f"  {self._order:5} {name:20} HR@10 {found.hits.mean():.4f}  NDCG@10 {found.gains.mean():.4f}"
            f"  {seconds:.0f} s",
            flush=True,
        )
        return found


def of_users(setting: Setting, users: np.ndarray) -> Setting:
    """The setting with only some users judged."""
    kept = np.zeros(setting.truth.shape[0], dtype=bool)
    kept[users] = True
    truth = setting.truth.tocoo()
    row, column = truth.coords
    some = kept[row]
    cut = sp.csr_array((np.ones(some.sum(), dtype=bool), (row[some], column[some])), shape=truth.shape)
    return Setting(setting.name, cut, setting.excluded, setting.candidates)


def ranks_of(score: Scorer, setting: Setting, batch: int = 256) -> Found:
    """The rank of each user's one right answer, equal scores in the order of the products' numbers."""
    parts = []
    for start in range(0, len(setting.users), batch):
        users = setting.users[start : start + batch]
        scores = np.array(score(users), dtype=np.float32)
        truth = setting.truth[users].indices[:, None]
        own = np.take_along_axis(scores, truth, axis=1)
        owner, product = setting.excluded[users].nonzero()
        scores[owner, product] = -np.inf
        tied = (scores == own) & (np.arange(scores.shape[1]) < truth)
        parts.append((scores > own).sum(axis=1) + tied.sum(axis=1))
    return Found(np.concatenate(parts))


def keys(found: Mapping[str, Found], prefix: str) -> dict[str, float]:
    figures: dict[str, float] = {}
    for name, one in found.items():
        for metric, values, base in (
            ("hr", one.hits, found[BASELINE].hits),
            ("ndcg", one.gains, found[BASELINE].gains),
        ):
            figures[f"{prefix}.{metric}@10.{name}"] = float(values.mean())
            if name != BASELINE:
                compared = paired_bootstrap(values, base, SEED, samples=2_000)
                over = f"{prefix}.{metric}@10.{name}_over_{BASELINE}"
                figures |= {f"{over}.low": compared.low, f"{over}.high": compared.high}
    return figures


def lines(found: Mapping[str, Found]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for name, one in sorted(found.items(), key=lambda item: -item[1].gains.mean()):
        compared = paired_bootstrap(one.gains, found[BASELINE].gains, SEED, samples=2_000)
        rows.append(
            {
                "model": name,
                "HR@10": round(float(one.hits.mean()), 4),
                "NDCG@10": round(float(one.gains.mean()), 4),
                f"NDCG@10 to {BASELINE}": "" if name == BASELINE else f"{compared.low:+.4f} to {compared.high:+.4f}",
            }
        )
    return rows + [{"model": f"{name} (published)", "HR@10": hr, "NDCG@10": n} for name, (hr, n) in PUBLISHED.items()]


if __name__ == "__main__":
    main()
