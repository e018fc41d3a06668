"""What tuning maximises: NDCG@20 of weeks 45 to 48, by kind of model. The test weeks are not even opened."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import scipy.sparse as sp
from accuracy_model import SEED, Shop, fold_examples
from shop_year import ShopYear, open_year

from shopgraph.collaborative.peers import PEERS, fit_peer
from shopgraph.dataset.hetero import to_hetero
from shopgraph.dataset.purchases import Purchases, to_ms
from shopgraph.embed.config import GraphEmbeddingConfig
from shopgraph.embed.message_graph import catalogue_matrix
from shopgraph.embed.training import train_graph_embedding
from shopgraph.errors import InputError
from shopgraph.evaluation import Setting, evaluate
from shopgraph.learning.overrides import configured
from shopgraph.ranking.candidates import CandidateConfig
from shopgraph.ranking.examples import Examples, SampleConfig
from shopgraph.ranking.lambdamart import LambdaMartConfig, train

WINDOW = "validation"
ENCODER_SETTING = "novel"
"""An encoder has one configuration; its training stops by this setting's figure, which is therefore what judges it."""
THREADS = 2
EXAMPLES_KEPT = 2
"""Sets of a ranker's rows held at once; one is up to 2 GB on the whole year."""


class ValidationYear:
    """The year up to week 44 and the settings of weeks 45 to 48; what lies after them is not read."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.year = folder, open_year(folder, (WINDOW,))
        self.moment_ms = to_ms(self.year.learned.before)
        self._shops: dict[tuple[str, ...], Shop] = {}

    @cached_property
    def purchases(self) -> Purchases:
        return Purchases.of(self.year.learned)

    @cached_property
    def catalogue(self) -> sp.csr_array:
        return catalogue_matrix(to_hetero(self.year.learned))

    def shop(self, sources: list[str]) -> Shop:
        """Fits each source once a moment, whatever setting asks."""
        if tuple(sources) not in self._shops:
            self._shops[tuple(sources)] = Shop(self.year, sources, self.folder, CandidateConfig())
        return self._shops[tuple(sources)]

    @cached_property
    def _settings(self) -> dict[str, Setting]:
        return self.year.settings(WINDOW)

    def setting(self, name: str) -> Setting:
        """Raises InputError where it would judge nobody."""
        found = self._settings[name]
        if not len(found.users):
            raise InputError(f"nobody is judged in the setting {name} of weeks 45 to 48: there is nothing to tune by")
        return found


def objective_of(kind: str, name: str, setting: str, weeks: ValidationYear) -> Callable[[dict[str, Any]], float]:
    """From a whole configuration, as chosen.json has it, to the figure.

    Raises:
        InputError: nobody is judged in the setting.
    """
    weeks.setting(setting)
    if kind == "peer":
        return partial(_peer, weeks, name, setting)
    return partial(_encoder, weeks.year) if kind == "encoder" else _ranker(weeks, setting)


def _peer(weeks: ValidationYear, name: str, setting: str, options: Mapping[str, Any]) -> float:
    config = configured(PEERS[name].config(), options)
    score = fit_peer(name, weeks.purchases, weeks.moment_ms, weeks.catalogue, config, SEED)
    return float(evaluate(score, weeks.setting(setting)).ndcg.mean())


def _encoder(year: ShopYear, options: Mapping[str, Any]) -> float:
    config = configured(GraphEmbeddingConfig(), options)
    with TemporaryDirectory() as scratch:
        trained = train_graph_embedding(year.learned, config, year.holdouts[WINDOW], "cpu", SEED, Path(scratch))
    return float(trained.metrics[f"{ENCODER_SETTING}.ndcg@20"])


def _ranker(weeks: ValidationYear, setting: str) -> Callable[[dict[str, Any]], float]:
    """Rows are made once for each depth and number of negatives, of sources that are fitted once in a process."""
    judged = weeks.setting(setting)

    @lru_cache(maxsize=EXAMPLES_KEPT)
    def rows(asked: str) -> tuple[list[Examples], Examples]:
        options = json.loads(asked)
        shop = weeks.shop(options["sources"]).asking(configured(CandidateConfig(), options["candidates"]))
        folds = fold_examples(shop, setting, weeks.moment_ms, configured(SampleConfig(), options["sample"]))
        return folds, shop.examples(weeks.moment_ms, judged)

    def objective(options: dict[str, Any]) -> float:
        trees = configured(LambdaMartConfig(), options["trees"])
        folds, asked = rows(json.dumps({part: options[part] for part in ("sources", "candidates", "sample")}))
        return max(train(folds, trees, (asked, judged), SEED, THREADS).curve)

    return objective
