"""One model of `make bench-accuracy` in a process of its own, so that its memory is its own.

    python accuracy_model.py FOLDER peer NAME | encoder NAME | fused SETTINGS | speed epochs

writes FOLDER/results/NAME.npz: figures of each judged user; NAME.json: seconds and rates. `speed epochs` writes
speed-NAME.json for every encoder: the seconds of its epochs, for parts of the year.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from robustness import under_attack
from shop_year import WINDOWS, ShopYear, open_year, whole_year

from shopgraph.collaborative.peers import PEERS, fit_peer
from shopgraph.dataset.hetero import to_hetero
from shopgraph.dataset.judging import seen_pairs
from shopgraph.dataset.purchases import Purchases, to_ms
from shopgraph.dataset.snapshot import Snapshot
from shopgraph.embed.config import GraphEmbeddingConfig
from shopgraph.embed.cuts import CutsConfig
from shopgraph.embed.message_graph import catalogue_matrix
from shopgraph.embed.training import train_graph_embedding
from shopgraph.evaluation import Figures, Scorer, Setting, evaluate, figures
from shopgraph.learning.overrides import configured
from shopgraph.learning.trained import TrainedEmbedding
from shopgraph.ranking.candidates import CandidateConfig, Candidates, find_candidates_of
from shopgraph.ranking.examples import Examples, SampleConfig, make_examples
from shopgraph.ranking.facets import Facet, facets_of
from shopgraph.ranking.folds import FoldConfig, make_folds
from shopgraph.ranking.lambdamart import LambdaMartConfig, Ranker, train
from shopgraph.ranking.past import Lines

CHOSEN = json.loads(Path(__file__).with_name("chosen.json").read_text())
FUSED_ENCODERS: dict[str, int] = CHOSEN["fused_encoders"]
"""Encoders whose vectors are sources of the rankers, and the epochs that each is trained at every fold."""
TEXT_AND_GRAPH = "text_and_graph"
"""The source that asks the vectors of both in one."""
SEED = 7
WARM_COLD = ("all", "novel", "cold")
VARIANTS: dict[str, tuple[str, ...]] = {"ours": (), "ours_without_graph": ("graph", "attribute")}
"""Groups of features that each ranker goes without; candidates are the same."""
YEAR_SHARES = (0.25, 0.5, 1.0)
SPEED_FOLDS = 4
SPEED_USERS = 2_500
TIMED_EPOCHS = 3


def main() -> None:
    folder, kind, name = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    year = open_year(folder)
    if kind == "peer":
        peer(year, name, folder)
    elif kind == "encoder":
        encoder(year, name, folder)
    elif kind == "speed":
        speed(folder)
    else:
        fused(year, name, folder)


def peer(year: ShopYear, name: str, folder: Path) -> None:
    """Fit a peer once a setting, with the configuration chosen for it there."""
    purchases, moment = Purchases.of(year.learned), to_ms(year.learned.before)
    catalogue = catalogue_matrix(to_hetero(year.learned))
    found, timed = {}, {}
    fitted: dict[str, tuple[Scorer, float]] = {}
    for setting, options in CHOSEN["peers"][name].items():
        key = json.dumps(options, sort_keys=True)
        if key not in fitted:
            started = time.perf_counter()
            config = configured(PEERS[name].config(), options)
            fitted[key] = fit_peer(name, purchases, moment, catalogue, config, SEED), time.perf_counter() - started
        score, seconds = fitted[key]
        timed["train_s"] = max(timed.get("train_s", 0.0), seconds)
        found |= judged(year, {setting: score}, timed)
    keep(folder, name, found, timed)


def encoder(year: ShopYear, name: str, folder: Path) -> None:
    """Train an encoder, stopping by the validation weeks, and rank by its vectors alone."""
    started = time.perf_counter()
    trained = trained_encoder(name, year.learned, year, folder / "training" / name)
    timed = {
        "train_s": time.perf_counter() - started,
        "epoch_s": float(np.median([record.seconds for record in trained.curves])),
        "best_epoch": trained.best_epoch,
    }
    score = by_vectors(trained)
    settings = ("all", "novel") if name == "lightgcn" else WARM_COLD
    found = judged(year, dict.fromkeys(settings, score), timed)
    vectors = (trained.vectors[label].matrix for label in ("User", "Product"))
    timed["robust"] = under_attack(*vectors, year.settings("test")["novel"])
    keep(folder, name, found, timed)


def speed(folder: Path) -> None:
    """Seconds of an epoch in which each pair is positive once, over all 53 weeks and over parts of them."""
    whole = whole_year()
    began_ms, end_ms = int(Purchases.of(whole).times.min()), to_ms(whole.before)
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in CHOSEN["encoders"]}
    for share in YEAR_SHARES:
        part = whole.until(datetime.fromtimestamp((began_ms + share * (end_ms - began_ms)) / 1000, UTC))
        pairs = int(seen_pairs(part).nnz)
        for name, options in CHOSEN["encoders"].items():
            config = once_each(configured(GraphEmbeddingConfig(), options))
            with TemporaryDirectory() as scratch:
                trained = train_graph_embedding(part, config, None, "cpu", SEED, Path(scratch), told, TIMED_EPOCHS)
            seconds = [record.seconds for record in trained.curves]
            epoch_s = float(np.median(seconds))
            found[name].append({"share": share, "pairs": pairs, "epoch_s": epoch_s, "seconds": seconds})
            print(f"  {name:24} {share:4.0%} of the year  {pairs:9,} pairs  {epoch_s:.1f} s", flush=True)
    (folder / "results").mkdir(exist_ok=True)
    for name, parts in found.items():
        (folder / "results" / f"speed-{name}.json").write_text(json.dumps(parts, indent=2))


def once_each(config: GraphEmbeddingConfig) -> GraphEmbeddingConfig:
    """Folds share out the pairs, and a batch takes all pairs of all users: messages pass once a fold."""
    cuts = CutsConfig(by="folds", count=SPEED_FOLDS)
    return replace(config, cuts=cuts, positives_per_user=None, users_per_batch=SPEED_USERS)


def trained_encoder(
    name: str, snapshot: Snapshot, year: ShopYear | None, folder: Path, epochs: int | None = None
) -> TrainedEmbedding:
    config = configured(GraphEmbeddingConfig(), encoder_options(name))
    holdout = year.holdouts["validation"] if year else None
    return train_graph_embedding(snapshot, config, holdout, "cpu", SEED, folder, told, epochs)


def encoder_options(name: str) -> dict[str, Any]:
    """What is chosen for an encoder; a hardened one is another's configuration with adversarial training."""
    if name not in CHOSEN["hardened"]:
        return dict(CHOSEN["encoders"][name])
    hardened = CHOSEN["hardened"][name]
    return {**CHOSEN["encoders"][hardened["of"]], "adversarial": hardened["adversarial"]}


def by_vectors(trained: TrainedEmbedding) -> Scorer:
    users, products = trained.vectors["User"].matrix, trained.vectors["Product"].matrix
    return lambda rows: users[rows] @ products.T


def judged(year: ShopYear, scores: Mapping[str, Scorer], timed: dict[str, float]) -> dict[str, Figures]:
    """Figures by window and setting; the rate is that of the full ranking of the test weeks."""
    found = {}
    for window in WINDOWS:
        settings = year.settings(window)
        for setting, score in scores.items():
            started = time.perf_counter()
            found[f"{window}.{setting}"] = evaluate(score, settings[setting])
            timed["users_per_s"] = len(settings[setting].users) / (time.perf_counter() - started)
    return found


def keep(folder: Path, name: str, found: Mapping[str, Figures], timed: Mapping[str, Any]) -> None:
    results = folder / "results"
    results.mkdir(exist_ok=True)
    arrays = {
        f"{place}.{metric}": getattr(item, metric)
        for place, item in found.items()
        for metric in ("users", "recall", "ndcg", "mrr", "coverage")
    }
    np.savez(results / f"{name}.npz", **arrays)
    (results / f"{name}.json").write_text(json.dumps(timed, indent=2))
    for place, item in found.items():
        means = item.means()
        print(f"  {name:24} {place:18} NDCG@20 {means['ndcg@20']:.4f}  Recall@20 {means['recall@20']:.4f}", flush=True)


def told(step: str, done: int, total: int, message: str = "") -> None:
    print(f"  {step} {done}/{total} {message}", flush=True)


def ranker_groups() -> dict[str, list[str]]:
    """Settings whose rankers ask the same sources for the same candidates, by their names joined by a dash."""
    found: dict[str, list[str]] = {}
    for setting, chosen in CHOSEN["ranker"].items():
        asked = json.dumps({part: chosen[part] for part in chosen if part != "trees"}, sort_keys=True)
        found.setdefault(asked, []).append(setting)
    return {"-".join(settings): settings for settings in found.values()}


def fused(year: ShopYear, group: str, folder: Path) -> None:
    """Train the rankers of a group on inner folds, with and without what the graph gives them, and read the test once.

    Every source of a fold is fitted on what happened before the fold's moment and asked once for all settings and
    windows; weeks 45 to 48 choose the rounds.
    """
    started = time.perf_counter()
    settings = ranker_groups()[group]
    chosen = CHOSEN["ranker"][settings[0]]
    sample = SampleConfig(**chosen.get("sample", {}))
    shop = Shop(year, chosen["sources"], folder, configured(CandidateConfig(), chosen.get("candidates", {})))
    end = to_ms(year.learned.before)
    folds = list(folds_of(shop, settings, end, sample))
    windows = {window: {name: year.settings(window)[name] for name in settings} for window in WINDOWS}
    flat = {f"{window}.{name}": asked for window, named in windows.items() for name, asked in named.items()}
    candidates = shop.candidates(end, flat)
    shared_s = time.perf_counter() - started
    for name in settings:
        started = time.perf_counter()
        config = configured(LambdaMartConfig(), CHOSEN["ranker"][name].get("trees", {}))
        asked = shop.described(end, windows["validation"][name], candidates[f"validation.{name}"])
        found: dict[str, dict[str, Figures]] = {}
        rankers, timed = {}, {}
        for model, groups in VARIANTS.items():
            judged = asked.without_groups(*groups), windows["validation"][name]
            rankers[model] = train([part[name].without_groups(*groups) for part in folds], config, judged, SEED, 2)
            timed[model] = {"train_s": shared_s + time.perf_counter() - started, "rounds": rankers[model].rounds}
            timed[model]["importance"] = rankers[model].importance()
        for window in WINDOWS:
            asked = shop.described(end, windows[window][name], candidates.pop(f"{window}.{name}"))
            for model, groups in VARIANTS.items():
                ranked = timed_ranking(
                    rankers[model], asked.without_groups(*groups), windows[window][name], timed[model]
                )
                found.setdefault(model, {})[f"{window}.{name}"] = ranked
        for model, figures_of in found.items():
            keep(folder, f"{model}-{name}", figures_of, timed[model])


def folds_of(shop: Shop, settings: list[str], end_ms: int, sample: SampleConfig) -> Iterator[dict[str, Examples]]:
    """What rankers are trained on, by setting: rows of every inner fold before a moment."""
    for number, fold in enumerate(make_folds(end_ms, FoldConfig())):
        asked = {name: fold.settings(shop.purchases)[name] for name in settings}
        candidates = shop.candidates(fold.moment_ms, asked)
        yield {name: shop.described(fold.moment_ms, asked[name], candidates[name], sample, number) for name in settings}


def fold_examples(shop: Shop, setting: str, end_ms: int, sample: SampleConfig) -> list[Examples]:
    """The rows of one setting's ranker, fold by fold."""
    return [rows[setting] for rows in folds_of(shop, [setting], end_ms, sample)]


def timed_ranking(ranker: Ranker, examples: Examples, setting: Setting, timed: dict[str, Any]) -> Figures:
    started = time.perf_counter()
    found = figures(ranker.rank(examples), setting)
    timed["users_per_s"] = len(setting.users) / (time.perf_counter() - started)
    return found


class Shop:
    """Sources and rows at any moment, each source fitted on what happened before it."""

    def __init__(self, year: ShopYear, sources: list[str], folder: Path, candidates: CandidateConfig) -> None:
        learned = dict.fromkeys((*FUSED_ENCODERS, TEXT_AND_GRAPH), "graph")
        self._candidates = replace(candidates, groups={**candidates.groups, **learned})
        self.purchases, self._sources, self._folder = Purchases.of(year.learned), sources, folder
        self._snapshot, self._lines = year.learned, Lines.of(year.learned)
        self._facets: tuple[Facet, ...] = facets_of(year.learned)
        self._catalogue = catalogue_matrix(to_hetero(year.learned))
        self._fitted: dict[int, dict[str, Scorer]] = {}

    def asking(self, candidates: CandidateConfig) -> Shop:
        """The same sources, fitted once for both, asked for other candidates."""
        other = copy(self)
        other._candidates = replace(candidates, groups=self._candidates.groups)
        return other

    def examples(self, moment_ms: int, setting: Setting) -> Examples:
        return self.described(moment_ms, setting, self.candidates(moment_ms, {setting.name: setting})[setting.name])

    def candidates(self, moment_ms: int, settings: Mapping[str, Setting]) -> dict[str, Candidates]:
        return find_candidates_of(settings, self._scorers(moment_ms), self._candidates)

    def described(
        self,
        moment_ms: int,
        setting: Setting,
        candidates: Candidates,
        sample: SampleConfig | None = None,
        seed: int = 0,
    ) -> Examples:
        return make_examples(candidates, setting, self._lines, self._facets, moment_ms, sample, seed)

    def _scorers(self, moment_ms: int) -> dict[str, Scorer]:
        if moment_ms not in self._fitted:
            found = {source: self._source(moment_ms, source) for source in self._sources}
            encoders = {name: self._encoder(moment_ms, name, epochs) for name, epochs in FUSED_ENCODERS.items()}
            self._fitted[moment_ms] = found | encoders
        return self._fitted[moment_ms]

    def _source(self, moment_ms: int, source: str) -> Scorer:
        """Text and graph, a peer as it comes, or, as `NAME/SETTING`, with what is chosen for it there."""
        if source == TEXT_AND_GRAPH:
            return self._text_and_graph(moment_ms)
        name, _, setting = source.partition("/")
        config = configured(PEERS[name].config(), CHOSEN["peers"][name][setting] if setting else {})
        return fit_peer(name, self.purchases, moment_ms, self._catalogue, config, SEED)

    def _text_and_graph(self, moment_ms: int) -> Scorer:
        from accuracy_text import text_and_graph  # what it imports would count as memory of every peer

        chosen = CHOSEN[TEXT_AND_GRAPH]
        graph = self._trained(moment_ms, chosen["encoder"], FUSED_ENCODERS[chosen["encoder"]])
        return text_and_graph(self._cut(moment_ms), chosen, self._folder, graph)

    def _encoder(self, moment_ms: int, name: str, epochs: int) -> Scorer:
        """By vectors of an encoder that was trained on the weeks before a moment alone, for the epochs chosen once."""
        stored = np.load(self._trained(moment_ms, name, epochs))
        users, products = stored["users"], stored["products"]
        return lambda rows: users[rows] @ products.T

    def _trained(self, moment_ms: int, name: str, epochs: int) -> Path:
        """The encoder's vectors; a folder of the same name holds the rest of what training left."""
        config = json.dumps([encoder_options(name), epochs], sort_keys=True)
        chosen = hashlib.sha256(config.encode()).hexdigest()[:12]
        kept = self._folder / "folds" / f"{name}-{chosen}-{moment_ms}.npz"
        if not kept.exists():
            trained = trained_encoder(name, self._cut(moment_ms), None, kept.with_suffix(""), epochs)
            np.savez(kept, users=trained.vectors["User"].matrix, products=trained.vectors["Product"].matrix)
        return kept

    def _cut(self, moment_ms: int) -> Snapshot:
        return self._snapshot.until(datetime.fromtimestamp(moment_ms / 1000, UTC))


if __name__ == "__main__":
    main()
