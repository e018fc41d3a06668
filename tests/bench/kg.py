"""`make bench-kg`: click prediction and full ranking on Last.FM and Book-Crossing with their knowledge graphs.

The data are not part of this project: without ../shared/data/kg-bench (or --data) the bench says so and ends.
The protocol is that of KGCN and its kin: a random 60/20/20 split of the labelled pairs, AUC and F1, means over splits.
Sampled negatives are told apart by popularity alone, so popularity stands beside every model, and all products are
ranked for the users with a positive in train. Models learn from train alone. In each split its own validation part
chooses among a model's trials, once by AUC (for AUC and F1) and once by NDCG@20 (for the ranking), sets the threshold
of F1 and fits the combination; the test part is read once, after all of it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from click_prediction import Observed, auc, best_threshold, combine, f1, observe
from kg_data import LabelledPairs, read_labelled_pairs
from kg_models import MODELS, fits
from machine import ROOT, show, write

from shopgraph.evaluation import Figures, Scorer, evaluate

DATA = ROOT.parent / "shared" / "data" / "kg-bench"
FOLDERS = {"lastfm": "lastfm", "book_crossing": "book-crossing"}
"""Of each data set, by its name in the figures."""
SPLITS = 3
POPULARITY_SPLITS = 5
"""As many as the data's README took popularity's AUC over."""
METRICS = ("auc", "f1", "recall@20", "ndcg@20")
PUBLISHED = {"lastfm": {"KGCN": {"auc": 0.796, "f1": 0.721}}, "book_crossing": {}}
"""As the data's README quotes them; for Book-Crossing it quotes none."""
COMBINATION = "combination"
FUSED = ("popularity", "item_knn", "page_rank", "attribute_affinity", "graphsage", "lightgcn")

Trial = tuple[Scorer, Observed]
Row = dict[str, object]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--data", type=Path, default=DATA)
    options.add_argument("--sets", nargs="*", choices=list(FOLDERS), default=list(FOLDERS))
    options.add_argument("--splits", type=int, default=SPLITS)
    asked = options.parse_args()
    if not asked.data.is_dir():
        print(f"bench-kg: skipped, {asked.data} is not there")
        return
    started = time.perf_counter()
    figures: dict[str, float] = {}
    tables: dict[str, list[Row]] = {}
    for name in asked.sets:
        data = read_labelled_pairs(asked.data / FOLDERS[name])
        benches = [SplitBench(data, FOLDERS[name], seed) for seed in range(asked.splits)]
        found = [bench.judged() for bench in benches]
        popular = popularity_auc(data)
        figures |= keys(found, f"kg.{name}") | {f"kg.{name}.auc.popularity_{POPULARITY_SPLITS}_splits": popular}
        told = {
            f"{name}: test part, mean ± deviation over {asked.splits} splits": lines(found, name, popular),
            f"{name}: what the validation parts chose": [row for bench in benches for row in bench.chosen],
        }
        tables |= told
        show(told)
    figures["kg.total_s"] = time.perf_counter() - started
    print(f"written to {write('kg', figures, tables)}")


class SplitBench:
    """Every model on one split of a data set; `chosen` tells afterwards what the validation part chose."""

    def __init__(self, data: LabelledPairs, folder: str, seed: int) -> None:
        self._data, self._folder, self._seed = data, folder, seed
        self._split = data.split(seed)
        self._snapshot = data.snapshot(self._split.train)
        self._asked = data.setting(self._split.train, self._split.validation)
        self._test = data.setting(self._split.train, self._split.test)
        self.chosen: list[Row] = []

    def judged(self) -> dict[str, dict[str, float]]:
        """The metrics of every model on the test part, by model."""
        by_auc: dict[str, Trial] = {}
        by_ndcg: dict[str, Trial] = {}
        for name in MODELS:
            if trials := fits(name, self._folder, self._snapshot):
                by_auc[name], by_ndcg[name] = self._tried(name, trials)
        found = {name: self._clicks(by_auc[name][1].pairs) | self._ranking(by_ndcg[name][1]) for name in by_auc}
        return found | {COMBINATION: self._combined({name: by_auc[name] for name in FUSED})}

    def _tried(self, name: str, fitted_by: Mapping[str, Callable[[], Scorer]]) -> tuple[Trial, Trial]:
        """The model's trial with the best AUC of the validation part, and the one with its best NDCG@20."""
        started, trials = time.perf_counter(), {}
        for trial, fit in fitted_by.items():
            score = fit()
            trials[trial] = score, observe(score, self._data, self._split)
        aucs = {trial: self._auc(seen) for trial, (_, seen) in trials.items()}
        ndcgs = {trial: seen.ranking(self._asked).ndcg.mean() for trial, (_, seen) in trials.items()}
        first, second = max(aucs, key=aucs.__getitem__), max(ndcgs, key=ndcgs.__getitem__)
        if len(trials) > 1:
            self.chosen.append({"split": self._seed, "model": name, "for AUC and F1": first, "for the ranking": second})
        print(
            f"  {self._folder:13} split {self._seed} {name:18} on validation: AUC {aucs[first]:.4f}"
            f"  NDCG@20 {ndcgs[second]:.4f}  {time.perf_counter() - started:.0f} s",
            flush=True,
        )
        return trials[first], trials[second]

    def _combined(self, sources: Mapping[str, Trial]) -> dict[str, float]:
        seen = {name: observed for name, (_, observed) in sources.items()}
        learned = combine(seen, self._data.positive, self._split.validation)
        weights = ", ".join(f"{name} {weight:.2f}" for name, weight in zip(learned.names, learned.weights, strict=True))
        self.chosen.append({"split": self._seed, "model": COMBINATION, "for AUC and F1": weights})
        scorer = learned.scorer({name: score for name, (score, _) in sources.items()})
        return self._clicks(learned.pairs(seen)) | means(evaluate(scorer, self._test))

    def _auc(self, seen: Observed) -> float:
        rows = self._split.validation
        return auc(self._data.positive[rows], seen.pairs[rows])

    def _clicks(self, pairs: np.ndarray) -> dict[str, float]:
        """AUC and F1 of the test part, F1's threshold from the validation part."""
        validation, test = self._split.validation, self._split.test
        threshold = best_threshold(self._data.positive[validation], pairs[validation])
        positive = self._data.positive[test]
        return {"auc": auc(positive, pairs[test]), "f1": f1(positive, pairs[test], threshold)}

    def _ranking(self, seen: Observed) -> dict[str, float]:
        return means(seen.ranking(self._test))


def means(found: Figures) -> dict[str, float]:
    return {name: value for name, value in found.means().items() if name in METRICS}


def popularity_auc(data: LabelledPairs) -> float:
    """The test part's AUC of the products' positives in train, mean over the splits, as the data's README has it."""
    found = []
    for seed in range(POPULARITY_SPLITS):
        split = data.split(seed)
        bought = split.train[data.positive[split.train]]
        counts = np.bincount(data.products[bought], minlength=data.shape[1])
        found.append(auc(data.positive[split.test], counts[data.products[split.test]]))
    return float(np.mean(found))


def keys(found: Sequence[Mapping[str, Mapping[str, float]]], prefix: str) -> dict[str, float]:
    figures: dict[str, float] = {}
    for name in found[0]:
        for metric in METRICS:
            values = [one[name][metric] for one in found]
            figures[f"{prefix}.{metric}.{name}"] = float(np.mean(values))
            figures[f"{prefix}.{metric}.{name}_deviation"] = float(np.std(values))
    return figures


def lines(found: Sequence[Mapping[str, Mapping[str, float]]], name: str, popular: float) -> list[Row]:
    rows: list[Row] = []
    for model in sorted(found[0], key=lambda one: -np.mean([split[one]["auc"] for split in found])):
        values = {metric: [split[model][metric] for split in found] for metric in METRICS}
        shown = {metric: f"{np.mean(several):.4f} ± {np.std(several):.4f}" for metric, several in values.items()}
        rows.append({"model": model, **shown})
    rows.append({"model": f"popularity, {POPULARITY_SPLITS} splits", "auc": f"{popular:.4f}"})
    published = PUBLISHED[name].items()
    return rows + [{"model": f"{model} (published)", **figures} for model, figures in published]


if __name__ == "__main__":
    main()
