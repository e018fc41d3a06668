"""The text embedding from a snapshot to vectors: corpus, pre-training, fine-tuning with the graph, encoding."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shopgraph.dataset.searches import SearchPairs
from shopgraph.dataset.snapshot import Snapshot
from shopgraph.errors import InputError
from shopgraph.learning.trained import EpochRecord, TrainedEmbedding
from shopgraph.query_encoder import FOLDER as QUERY
from shopgraph.registry import Vectors
from shopgraph.text.alignment import Alignment, Searched, fit_alignment
from shopgraph.text.backbone import open_backbone
from shopgraph.text.catalogue import encode_catalogue, join_graph
from shopgraph.text.characters import add_characters
from shopgraph.text.config import FAMILY, TextConfig
from shopgraph.text.encoding import encode_texts
from shopgraph.text.examples import ExamplesConfig
from shopgraph.text.export import export_error, export_queries
from shopgraph.text.fusion import aligned_width, open_fused, projected, read_together, save_fused, with_nodes
from shopgraph.text.judge import Judge
from shopgraph.text.pretraining import pretrain
from shopgraph.text.read_once import Read, Reading, reading_once
from shopgraph.text.reader import MODEL
from shopgraph.text.retrieval import pair_recall
from shopgraph.text.shop import GraphVectors, Shop
from shopgraph.text.stages import ABSENT
from shopgraph.text.trainer import own_randomness
from shopgraph.text.tuning import STEP, TuningConfig, tune
from shopgraph.tracking import Progress, silent

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

TUNING, ADAPTERS = "tuning.json", "adapters"
CHARACTERS = "corpus.characters"
GRAPH_VERSION = "graph_version"
"""On the card of a text version: the version whose graph vectors it was fused with."""


def train_text_embedding(
    snapshot: Snapshot,
    config: TextConfig,
    graph: GraphVectors | None,
    device: str | torch.device,
    seed: int,
    folder: Path,
    progress: Progress = silent,
    searches: SearchPairs | None = None,
    kept: Path | None = None,
) -> TrainedEmbedding:
    """Pre-train where asked, fine-tune with the graph as input, encode every distinct text once, export for queries.

    Where the backbone stays as it is and text meets the graph late, each text is read once, before fine-tuning. A
    killed run called again with the same arguments keeps its fine-tuned model and its encoded chunks. Without enough
    purchases or searches the backbone's vectors are made narrow and no more, and `tuning.steps` is 0.

    Args:
        graph: None where there is none: texts are read alone, whatever `config.fusion` says.
        folder: working files go to a folder of this snapshot, config and seed within it; the caller may remove it once
            the version is saved.
        searches: queries and what they led to, of a log that the graph does not hold; by default the graph's own.
        kept: where vectors of texts are kept from run to run, those of a backbone as it came.

    Returns:
        vectors of `Product`, (products, config.dimension); the curve has one record a step. Metrics:
            pretraining.perplexity_before, .perplexity_after: of held-out texts
            tuning.loss_before, .loss_start, .loss_after: on held-out pairs, without dropout; before is the untouched
                backbone, start is where fine-tuning starts
            retrieval.recall@20_before, .recall@20_start, .recall@20_after: of held-out pairs among `judged_texts`, as
                published
            retrieval.all_recall@20: among all texts
            projection.kept: see `Alignment`, of where the learned projection started
            query.cosine_error: what exporting loses, see `export_error`
            corpus.texts, .pairs, .held_out_pairs, .searches, .characters: counts
            encoding.texts_per_second: of what this run encoded after fine-tuning

    Raises:
        InputError: the snapshot has no products, or the config does not fit the backbone.
    """
    if not snapshot.ids("Product"):
        raise InputError(f"snapshot {snapshot.id} has no products: there are no texts to learn from")
    progress("text: corpus", 0, 1)
    shop = Shop(snapshot, config, graph, searches)
    progress("text: corpus", 1, 1, f"{len(shop.corpus.texts)} texts, {len(shop.copurchases.train)} pairs")
    work = folder / _key(snapshot, config, graph, seed, searches)
    judge = Judge(shop.copurchases, len(shop.corpus.texts), config, seed)
    reading = Reading(config, kept, device, seed, work.with_name(f"{work.name}-read"), progress)
    model, tuned, read = _tuned(shop, judge, config, reading, device, seed, work, progress)
    vectors, speed = _catalogue(shop, model, read, config, work, progress)
    metrics: dict[str, Any] = {**tuned.metrics, **speed}
    metrics |= _figures(shop, judge, vectors, len(tuned.curve))
    files = {name: work / name for name in (MODEL, QUERY, ADAPTERS) if (work / name).exists()}
    return TrainedEmbedding(
        family=FAMILY,
        snapshot_id=snapshot.id,
        vectors={"Product": Vectors(shop.corpus.products, vectors)},
        config=asdict(config),
        metrics=metrics,
        best_epoch=len(tuned.curve),
        curves=tuned.curve,
        files=files,
        curve_unit="step",
        seeds=(seed,),
        device=str(device),
    )


def _catalogue(
    shop: Shop,
    model: SentenceTransformer,
    read: np.ndarray | None,
    config: TextConfig,
    work: Path,
    progress: Progress,
) -> tuple[np.ndarray, dict[str, float]]:
    """(products, dimension), and how fast texts were read where they were."""
    if shop.graph is not None:
        with_nodes(model, shop.graph.matrix())
    corpus, nodes = shop.corpus, shop.nodes.products
    if read is not None:
        return join_graph(model, read[: len(corpus.texts)], corpus.text_of, nodes), {}
    encoded = encode_catalogue(
        model, corpus.texts, corpus.text_of, nodes, config.batch_texts, work / "encoded", progress
    )
    return encoded.matrix, {"encoding.texts_per_second": encoded.texts_per_second}


def _figures(shop: Shop, judge: Judge, vectors: np.ndarray, steps: int) -> dict[str, Any]:
    metrics: dict[str, Any] = {
        "corpus.texts": len(shop.corpus.texts),
        "corpus.pairs": len(shop.copurchases.train),
        "corpus.held_out_pairs": len(shop.copurchases.holdout),
        "corpus.searches": len(shop.searches.train),
        "tuning.steps": steps,
    }
    if len(judge.pairs):
        metrics["retrieval.all_recall@20"] = pair_recall(vectors[shop.representatives], judge.pairs)
    if shop.graph is not None:
        metrics[GRAPH_VERSION] = shop.graph.version
    return metrics


@dataclass(frozen=True)
class _Tuned:
    """How training went: of this run, or of one that was killed later on."""

    curve: list[EpochRecord]
    metrics: dict[str, float]


def _tuned(
    shop: Shop,
    judge: Judge,
    config: TextConfig,
    reading: Reading,
    device: str | torch.device,
    seed: int,
    work: Path,
    progress: Progress,
) -> tuple[SentenceTransformer, _Tuned, np.ndarray | None]:
    """The fine-tuned model, and the vectors of `shop.texts` where each has one from before; work holds its files."""
    if (work / TUNING).exists():
        kept = json.loads((work / TUNING).read_text())
        tuned = _Tuned([EpochRecord(**record) for record in kept["curve"]], kept["metrics"])
        model = open_fused(work / MODEL, device)
        stays = _stays(shop, config, tuned.metrics[CHARACTERS])
        return model, tuned, reading.by(model, shop.texts, tuned.metrics[CHARACTERS]) if stays else None
    fusion, graph_width = shop.fusion(config)
    backbone = open_backbone(config.backbone, device, config.max_tokens, config.backbone_options, seed)
    sampled, sentences = [shop.corpus.texts[row] for row in judge.rows], shop.sentences(config)
    figures = {"before": judge.figures(lambda: reading.as_it_came(sampled))}
    characters = add_characters(backbone, sentences, config.characters, seed)
    tuning = _tuning(config, characters)
    metrics: dict[str, float] = {CHARACTERS: characters}
    pretrained = pretrain(backbone, sentences, config.pretraining, device, seed, progress)
    if pretrained is not None:
        metrics["pretraining.perplexity_before"] = pretrained.before
        metrics["pretraining.perplexity_after"] = pretrained.after
    with own_randomness(seed):
        reading_both = read_together(backbone, fusion, graph_width)
    if shop.graph is not None:
        with_nodes(reading_both, shop.graph.matrix())
    stays = _stays(shop, config, characters)
    rows = np.arange(len(shop.corpus.texts)) if stays else _aligned(shop, config, seed)
    read = None
    if fusion.kind != "early":
        asked = [*(shop.corpus.texts[row] for row in rows), *shop.queries, *sampled]
        texts = shop.texts if stays else list(dict.fromkeys(asked))
        read = Read(texts, reading.by(backbone, texts, characters))
    start = _start(shop, reading_both, config, rows, read)
    model = projected(reading_both, start)
    known = model if read is None else reading_once(model, read)
    inputs = [shop.inputs[row] for row in judge.rows]
    figures["start"] = judge.figures(lambda: encode_texts(known, inputs, config.batch_texts).matrix)
    trained = known if stays else model
    progress(STEP, 0, tuning.steps)
    with _whole(work) as draft:
        curve = tune(trained, shop.examples, tuning, device, seed, progress, draft / ADAPTERS)
        figures["after"] = judge.figures(lambda: encode_texts(trained, inputs, config.batch_texts).matrix)
        save_fused(model, draft / MODEL)
        if config.exported:
            export_queries(model, draft / QUERY)
            metrics["query.cosine_error"] = export_error(model, draft / QUERY, sampled[: config.batch_texts])
        metrics |= {f"{name}_{when}": value for when, of in figures.items() for name, value in of.items()}
        metrics["projection.kept"] = start.kept
        kept = {"curve": [asdict(record) for record in curve], "metrics": metrics}
        (draft / TUNING).write_text(json.dumps(kept))
    return model, _Tuned(curve, metrics), read.vectors if stays and read is not None else None


def _stays(shop: Shop, config: TextConfig, characters: float) -> bool:
    """Whether what the backbone makes of a text is the same before and after fine-tuning, whatever its graph vector."""
    return not _tuning(config, characters).moves_the_backbone() and shop.fusion(config)[0].kind != "early"


def _tuning(config: TextConfig, characters: float) -> TuningConfig:
    """As asked, but that characters which are new to a backbone have to be learned by all of it."""
    return replace(config.tuning, frozen_layers=0) if characters else config.tuning


def _aligned(shop: Shop, config: TextConfig, seed: int) -> np.ndarray:
    """Ascending rows of the texts whose products were bought or found most, so many as a start reads for itself."""
    drawn = np.random.default_rng(seed).permutation(len(shop.corpus.texts))
    times = np.bincount(shop.corpus.text_of, shop.bought().sum(axis=0) + shop.found().sum(axis=0), len(drawn))
    return np.sort(drawn[np.argsort(-times[drawn], kind="stable")][: config.aligned_texts])


def _start(
    shop: Shop, reading: SentenceTransformer, config: TextConfig, texts: np.ndarray, read: Read | None
) -> Alignment:
    """Of what was bought or found most, each product with its own vector of the graph where the two meet late.

    Where they meet early, a text is read with the vector of the product that represents it.

    Args:
        texts: ascending rows of the texts that count.
        read: their vectors and those of queries; None where they have to be read together with the graph.
    """
    fusion, graph_width = shop.fusion(config)
    text_of, bought, found = shop.corpus.text_of, shop.bought(), shop.found()
    if read is None:
        corpus = encode_texts(reading, [shop.inputs[row] for row in texts], config.batch_texts).matrix
        queries = encode_texts(reading, shop.queries, config.batch_texts).matrix
    else:
        corpus, queries = read.of([shop.corpus.texts[row] for row in texts]), read.of(shop.queries)
    products = np.flatnonzero(np.isin(text_of, texts))
    with_graph = aligned_width(fusion, 0, graph_width) > 0
    if with_graph:
        products = products[shop.nodes.products[products] != ABSENT]
    vectors = corpus[np.searchsorted(texts, text_of[products])]
    if with_graph and shop.graph is not None:
        vectors = np.hstack([vectors, shop.graph.products.matrix[shop.nodes.products[products]]])
    searched, named = np.split(queries, [len(shop.searches.queries)])
    share = (1 - config.named) * _searched_share(config.examples)
    asked_for = [
        Searched(searched, found[:, products], share),
        Searched(named, shop.names.products[:, products], config.named),
    ]
    return fit_alignment(vectors, bought[:, products], config.dimension, asked_for)


def _searched_share(config: ExamplesConfig) -> float:
    """Of the searches, beside the purchases in whatever form they are learned from."""
    asked = config.searched + max(config.together, config.bought)
    return config.searched / asked if asked else 0.5


def _key(
    snapshot: Snapshot, config: TextConfig, graph: GraphVectors | None, seed: int, searches: SearchPairs | None
) -> str:
    asked: list[Any] = [snapshot.id, asdict(config), graph.version if graph else None, seed]
    if searches is not None:
        asked += [searches.queries, searches.train.tolist()]
    return f"{FAMILY}-{hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]}"


@contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """A folder that becomes the target when all in it is written, and is gone otherwise."""
    draft = target.with_name(f".{target.name}-{secrets.token_hex(4)}")
    draft.mkdir(parents=True)
    try:
        yield draft
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
