"""`make bench-text`: what text and graph in one vector find that text alone, or the graph alone, does not.

    python text.py [--only year books chinese beauty] [--fresh]

Parts: the shop year's products first sold in its last weeks (`year`), Goodbooks with a tenth of its books new and shelf
tags as queries (`books`), Chinese titles (`chinese`), Amazon Beauty with a tenth of its products new (`beauty`). Data
sets that are not part of this project are skipped where ../shared/data does not hold them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from beauty_data import read_beauty
from machine import OUTPUT, ROOT, show, write
from shop_year import prepare
from text_books import read_books, spoken
from text_chinese import read_titles
from text_model import (
    SEED,
    SHARPNESS,
    Shop,
    ndcg,
    query_folder,
    share_of_adapters,
    without_newcomers,
)
from text_search import full_text_scores, mean_ndcg, preferred, served_scores, together, untouched_scores

from shopgraph.dataset.corpus import CorpusConfig, read_corpus
from shopgraph.dataset.purchases import Purchases, to_ms
from shopgraph.query_encoder import QueryEncoder
from shopgraph.ranking.profiles import lately, profiles
from shopgraph.recommend.fusion import FusionConfig

DATA = ROOT.parent / "shared" / "data"
FOLDER = OUTPUT / "text"
TIMED_QUERIES = 200
SHARPNESSES = (2.0, 16.0)
"""Of profiles: for each kind of vectors, what validation prefers is what is told; none preferred 4 or 32."""
HALF_LIFE_WEEKS = 8.0
"""Of profiles: validation preferred it to none for each kind of vectors."""
SEARCH, TOGETHER = FusionConfig().search, "full-text and ours, as `search` joins them"
TUNED = "full-text and ours, words with the share that validation prefers"
TITLES = {"max_tokens": 40, "tuning": {"steps": 30, "optimiser": {"learning_rate": 2e-4}}}
"""Of Chinese titles, a token a character."""
SHELVES = {"examples": {"together": 0.0, "bought": 0.0}, "tuning": {"steps": 300, "head_learning_rate": 1e-3}}
"""Of Goodbooks, where shelves and not purchases tell what a book is: chosen on the validation tags."""
BY_FOLDS = {"encoder": "gcn", "dimension": 192, "cuts": {"by": "folds", "count": 4}, "epochs": 3}
"""Of data sets that tell no time: folds share out the pairs instead of moments."""
Part = tuple[dict[str, float], dict[str, list[dict[str, Any]]]]
"""Figures by dotted key, and rows of tables by title."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--data", type=Path, default=DATA)
    options.add_argument("--only", nargs="*", choices=list(PARTS), default=list(PARTS))
    options.add_argument("--fresh", action="store_true", help="forget the figures that earlier runs left")
    asked = options.parse_args()
    if asked.fresh:
        shutil.rmtree(FOLDER, ignore_errors=True)
    for name in asked.only:
        needed, part = PARTS[name]
        if needed and not (asked.data / needed).is_dir():
            print(f"bench-text: {name} skipped, {asked.data / needed} is not there")
            continue
        started = time.perf_counter()
        figures, tables = part(asked.data / needed, FOLDER / name)
        seconds = time.perf_counter() - started
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / f"{name}.json").write_text(json.dumps([{**figures, f"text.{name}_s": seconds}, tables]))
        show(tables)
    figures, tables = gathered()
    print(f"written to {write('text', figures, tables)}")


def gathered() -> Part:
    """Of all parts that have run."""
    figures: dict[str, float] = {}
    tables: dict[str, list[dict[str, Any]]] = {}
    for name in PARTS:
        kept = FOLDER / f"{name}.json"
        if kept.exists():
            own_figures, own_tables = json.loads(kept.read_text())
            figures, tables = {**figures, **own_figures}, {**tables, **own_tables}
    figures["text.total_s"] = sum(value for key, value in figures.items() if key.endswith("_s"))
    return figures, tables


def year(_: Path, folder: Path) -> Part:
    """Products first sold after week 44, asked for by the profiles of what users had bought until then."""
    shop_year = prepare(FOLDER / "year-snapshot")
    settings = {window: shop_year.settings(window)["cold"] for window in ("validation", "test")}
    purchases, moment = Purchases.of(shop_year.learned), to_ms(shop_year.learned.before)
    interest = lately(purchases, moment, HALF_LIFE_WEEKS)
    shop = Shop(shop_year.learned, folder, {"encoder": "gcn", "epochs": 6})
    rows: list[dict[str, Any]] = []

    def told(name: str, vectors: np.ndarray) -> float:
        candidates = np.any([setting.candidates for setting in settings.values()], axis=0)
        tried = []
        for sharpness in SHARPNESSES:
            score = profiles(vectors, interest, candidates, sharpness)
            judged = {window: ndcg(score, setting) for window, setting in settings.items()}
            tried.append({"vectors": name, "sharpness": sharpness, **judged})
        print(f"  year {tried}", flush=True)
        rows.append(max(tried, key=lambda row: float(row["validation"])))
        return float(rows[-1]["test"])

    found = {"text_untouched": told("text_untouched", shop.untouched)}
    found["graph_only"] = told("graph_only", shop.graph_only())
    for variant in ("text_only", "late_fusion", "early_fusion"):
        trained = shop.model(variant)
        found[variant] = told(variant, trained.vectors["Product"].matrix)
    return {f"cold.ndcg@20.{name}": value for name, value in found.items()}, {"Cold products, NDCG@20": rows}


def books(data: Path, folder: Path) -> Part:
    """Shelf tags as queries, most never seen in training, and books that nobody has rated yet."""
    read = read_books(data, SEED)
    shop = Shop(read.texts, folder, BY_FOLDS, read.described)
    queries = {part: [spoken(tag) for tag in read.tags[part]] for part in ("validation", "test")}
    corpus = read_corpus(read.texts, CorpusConfig())
    texts = [corpus.texts[row] for row in corpus.text_of]
    rows: list[dict[str, Any]] = []

    def told(name: str, scores: dict[str, np.ndarray], vectors: np.ndarray | None = None) -> dict[str, Any]:
        row: dict[str, Any] = {"model": name}
        for part, of_part in scores.items():
            row[f"search NDCG@10, {part}"] = mean_ndcg(of_part, read.gains[part], read.judged)
        if vectors is not None:
            row["new books NDCG@20"] = ndcg(profiles(vectors, shop.bought, read.new.candidates, SHARPNESS), read.new)
        print(f"  books {row}", flush=True)
        rows.append(row)
        return row

    by_words = found_by_words(queries, texts)
    words = told("full-text", by_words)
    as_it_came = {part: untouched_scores(asked, shop.untouched) for part, asked in queries.items()}
    before = told("untouched", as_it_came, shop.untouched)
    found: dict[str, dict[str, Any]] = {}
    metrics: dict[str, dict[str, Any]] = {}
    for variant in ("late_fusion", "text_only", "pretrained", "full", "adversarial", "lora"):
        trained = shop.model(variant, read.searches, exported=True, **SHELVES)
        vectors, encoder = trained.vectors["Product"].matrix, query_folder(trained)
        scores = {part: served_scores(asked, encoder, vectors) for part, asked in queries.items()}
        found[variant] = told(variant, scores, vectors)
        metrics[variant] = trained.metrics
        if variant == "lora":
            adapters_share = share_of_adapters(trained)
        if variant == "late_fusion":
            query_ms = milliseconds(encoder, queries["test"])
            both = told(TOGETHER, {part: together(by_words[part], scores[part], SEARCH) for part in queries})
            share, joined = preferred(by_words, scores, read.gains["validation"], read.judged)
            tuned = told(TUNED, joined)
    silent = shop.model("no_searches", exported=True)
    vectors, encoder = silent.vectors["Product"].matrix, query_folder(silent)
    scores = {part: served_scores(asked, encoder, vectors) for part, asked in queries.items()}
    unasked = told("late_fusion without a record of searches", scores, vectors)
    ours, test, new = found["late_fusion"], "search NDCG@10, test", "new books NDCG@20"
    figures = {
        "search.ndcg@10.fulltext": words[test],
        "search.ndcg@10.untouched": before[test],
        "search.ndcg@10.ours": ours[test],
        "search.ndcg@10.together": both[test],
        "search.ndcg@10.tuned": tuned[test],
        "search.share_of_words": share,
        "search.ndcg@10.without_searches": unasked[test],
        "search.gain_over_untouched": ours[test] / before[test] - 1,
        "newcomers.books.ndcg@20.untouched": before[new],
        "newcomers.books.ndcg@20.ours": ours[new],
        "newcomers.books.gain_over_untouched": ours[new] / before[new] - 1,
        "lora.ratio_to_full": found["lora"][test] / found["full"][test],
        "lora.weights_trained": adapters_share,
        "mlm.perplexity.before": metrics["pretrained"]["pretraining.perplexity_before"],
        "mlm.perplexity.after": metrics["pretrained"]["pretraining.perplexity_after"],
        "encode.query_ms": query_ms,
        "encode.query_cosine_error": metrics["late_fusion"]["query.cosine_error"],
    }
    return figures, {"Goodbooks": rows}


def chinese(data: Path, folder: Path) -> Part:
    """Product words as queries; titles alone, since there is neither a graph nor a purchase."""
    read = read_titles(data, SEED)
    shop = Shop(read.snapshot, folder, {})
    titles = read.snapshot.nodes["Product"]["title"].to_pylist()
    every = np.ones(len(titles), bool)
    rows = []

    def told(name: str, scores: dict[str, np.ndarray]) -> float:
        row = {"model": name, **{part: mean_ndcg(scores[part], read.gains[part], every) for part in scores}}
        print(f"  chinese {row}", flush=True)
        rows.append(row)
        return float(row["test"])

    asked = {part: read.words[part] for part in ("validation", "test")}
    by_words = found_by_words(asked, titles)
    words = told("full-text", by_words)
    before = told("untouched", {part: untouched_scores(queries, shop.untouched) for part, queries in asked.items()})
    trained = shop.model("zh", read.searches, graph=False, exported=True, **TITLES)
    vectors, encoder = trained.vectors["Product"].matrix, query_folder(trained)
    scores = {part: served_scores(queries, encoder, vectors) for part, queries in asked.items()}
    ours = told("ours", scores)
    both = told(TOGETHER, {part: together(by_words[part], scores[part], SEARCH) for part in asked})
    share, joined = preferred(by_words, scores, read.gains["validation"], every)
    tuned = told(TUNED, joined)
    figures = {
        "search.zh.ndcg@10.fulltext": words,
        "search.zh.ndcg@10.untouched": before,
        "search.zh.ndcg@10.ours": ours,
        "search.zh.ndcg@10.together": both,
        "search.zh.ndcg@10.tuned": tuned,
        "search.zh.share_of_words": share,
        "search.zh.characters_added": float(trained.metrics["corpus.characters"]),
    }
    return figures, {"Chinese titles, search NDCG@10": rows}


def beauty(data: Path, folder: Path) -> Part:
    """A tenth of the products without their purchases, asked for by the profiles of who bought them."""
    known, setting = without_newcomers(read_beauty(data, "ties", SEED).whole, 0.1, 5_000)
    shop = Shop(known, folder, BY_FOLDS)
    rows: list[dict[str, Any]] = []

    def told(name: str, vectors: np.ndarray) -> float:
        value = ndcg(profiles(vectors, shop.bought, setting.candidates, SHARPNESS), setting)
        rows.append({"vectors": name, "NDCG@20": value})
        print(f"  beauty {rows[-1]}", flush=True)
        return value

    before = told("text_untouched", shop.untouched)
    told("graph_only", shop.graph_only())
    ours = told("late_fusion", shop.model("late_fusion").vectors["Product"].matrix)
    figures = {
        "newcomers.beauty.ndcg@20.untouched": before,
        "newcomers.beauty.ndcg@20.ours": ours,
        "newcomers.beauty.gain_over_untouched": ours / before - 1,
    }
    return figures, {"Amazon Beauty, new products": rows}


def found_by_words(queries: dict[str, list[str]], texts: list[str]) -> dict[str, np.ndarray]:
    """Full-text scores by part, all of one server."""
    scores = full_text_scores([query for asked in queries.values() for query in asked], texts)
    ends = np.cumsum([len(asked) for asked in queries.values()])
    return dict(zip(queries, np.split(scores, ends[:-1]), strict=True))


def milliseconds(folder: Path, queries: list[str]) -> float:
    """Median time to encode one query on one core."""
    encode, seconds = QueryEncoder(folder, threads=1), []
    for query in queries[:TIMED_QUERIES]:
        started = time.perf_counter()
        encode([query])
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds)) * 1000


PARTS: dict[str, tuple[str, Callable[[Path, Path], Part]]] = {
    "year": ("", year),
    "books": ("goodbooks", books),
    "chinese": ("zh-ecommerce", chinese),
    "beauty": ("amazon-beauty", beauty),
}
"""Each part's folder below the data, where it needs one, and what it does."""

if __name__ == "__main__":
    main()
