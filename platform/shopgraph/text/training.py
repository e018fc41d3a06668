"""The text embedding from a snapshot to vectors: corpus, pre-training, fine-tuning with the graph, encoding."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from shopgraph.dataset.copurchase import CopurchaseConfig, Copurchases, read_copurchases
from shopgraph.dataset.corpus import Corpus, CorpusConfig, ProductWords, product_texts, read_corpus
from shopgraph.dataset.purchases import Purchases
from shopgraph.dataset.searches import SearchPairs, SearchPairsConfig, read_search_pairs
from shopgraph.dataset.snapshot import Snapshot
from shopgraph.dataset.statements import read_statements
from shopgraph.errors import InputError
from shopgraph.learning.trained import EpochRecord, TrainedEmbedding
from shopgraph.query_encoder import FOLDER as QUERY
from shopgraph.registry import CARD, Vectors
from shopgraph.schema import FAMILIES
from shopgraph.text.alignment import Alignment, fit_alignment
from shopgraph.text.backbone import DEFAULT, open_backbone
from shopgraph.text.catalogue import encode_catalogue, nodes_of
from shopgraph.text.characters import add_characters
from shopgraph.text.encoding import encode_texts
from shopgraph.text.examples import ExamplesConfig, Nodes, make_examples, representatives, text_inputs
from shopgraph.text.export import export_error, export_queries
from shopgraph.text.fusion import ABSENT, FusionConfig, aligned_width, fuse, open_fused, save_fused, with_nodes
from shopgraph.text.pretraining import PretrainingConfig, pretrain
from shopgraph.text.retrieval import pair_loss, pair_recall
from shopgraph.text.tuning import STEP, TuningConfig, batches, tune
from shopgraph.tracking import Progress, silent

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

FAMILY = "text"
MODEL, TUNING, ADAPTERS = "model", "tuning.json", "adapters"
GRAPH_VERSION = "graph_version"
"""On the card of a text version: the version whose graph vectors it was fused with."""
JUDGED_BATCHES = 8


@dataclass(frozen=True)
class TextConfig:
    """How texts are learned."""

    backbone: str = DEFAULT
    """A name that `open_backbone` knows, or a folder."""
    backbone_options: Mapping[str, Any] = field(default_factory=dict)
    """Sizes of a backbone that is built untrained, by transformers' names for them."""
    characters: int = 5
    """Texts that must hold a character which the tokenizer does not know, for it to become a token; with 0 none does.
    Where some do, no layer is frozen: they have to be learned."""
    max_tokens: int = 64
    """Tokens of a text that are read; product texts without descriptions have 20 to 40."""
    dimension: int = FAMILIES[FAMILY].dimension
    """Width of the published vectors."""
    batch_texts: int = 64
    """Texts encoded at once."""
    exported: bool = True
    """Whether the text side is kept for serving without torch, too: some seconds."""
    judged_pairs: int = 500
    """Held-out pairs that judge the model before and after fine-tuning."""
    judged_texts: int = 2000
    """Texts they are searched among before and after; all would take as long as the catalogue."""
    aligned_texts: int = 5000
    """Most bought texts that the projection starts from, see `fit_alignment`."""
    corpus: CorpusConfig = field(default_factory=CorpusConfig)
    copurchase: CopurchaseConfig = field(default_factory=CopurchaseConfig)
    searches: SearchPairsConfig = field(default_factory=SearchPairsConfig)
    examples: ExamplesConfig = field(default_factory=ExamplesConfig)
    pretraining: PretrainingConfig = field(default_factory=PretrainingConfig)
    fusion: FusionConfig = field(default_factory=FusionConfig)
    tuning: TuningConfig = field(default_factory=TuningConfig)


@dataclass(frozen=True)
class GraphVectors:
    """The vectors that text is fused with, of one version of the graph embedding.

    Products are best given as the catalogue alone places them (see `encode_unbought`), which is how newcomers will be.
    """

    version: str
    products: Vectors
    users: Vectors

    def matrix(self) -> np.ndarray:
        """(products + users, dimension), products first."""
        return np.concatenate([self.products.matrix, self.users.matrix])

    def nodes(self, snapshot: Snapshot) -> Nodes:
        """Where a snapshot's products and users stand in the matrix."""
        users = nodes_of(snapshot.ids("User"), self.users.ids)
        users[users != ABSENT] += len(self.products.ids)
        return Nodes(nodes_of(snapshot.ids("Product"), self.products.ids), users)


def train_text_embedding(
    snapshot: Snapshot,
    config: TextConfig,
    graph: GraphVectors | None,
    device: str | torch.device,
    seed: int,
    folder: Path,
    progress: Progress = silent,
    searches: SearchPairs | None = None,
) -> TrainedEmbedding:
    """Pre-train where asked, fine-tune with the graph as input, encode every distinct text once, export for queries.

    A killed run called again with the same arguments keeps its fine-tuned model and its encoded chunks. Without enough
    purchases the backbone serves untouched, and `tuning.steps` is 0.

    Args:
        graph: None where there is none: texts are read alone, whatever `config.fusion` says.
        folder: working files go to a folder of this snapshot, config and seed within it; the caller may remove it once
            the version is saved.
        searches: queries and what they led to, of a log that the graph does not hold; by default the graph's own.

    Returns:
        vectors of `Product`, (products, config.dimension); the curve has one record a step. Metrics:
            pretraining.perplexity_before, .perplexity_after: of held-out texts
            tuning.loss_before, .loss_after: on held-out pairs, without dropout
            retrieval.recall@20_before, .recall@20_after: of held-out pairs among `judged_texts`, as published; before
                is the untouched backbone
            retrieval.all_recall@20: among all texts
            projection.kept: see `Alignment`, of where the learned projection started
            query.cosine_error: what exporting loses, see `export_error`
            corpus.texts, .pairs, .held_out_pairs, .searches, .characters: counts
            encoding.texts_per_second: of what this run encoded

    Raises:
        InputError: the snapshot has no products, or the config does not fit the backbone.
    """
    if not snapshot.ids("Product"):
        raise InputError(f"snapshot {snapshot.id} has no products: there are no texts to learn from")
    progress("text: corpus", 0, 1)
    shop = _Shop(snapshot, config, graph, searches)
    progress("text: corpus", 1, 1, f"{len(shop.corpus.texts)} texts, {len(shop.copurchases.train)} pairs")
    work = folder / _key(snapshot, config, graph, seed, searches)
    judge = Judge(shop, config, seed)
    model, tuned = _tuned(shop, judge, config, device, seed, work, progress)
    if graph is not None:
        with_nodes(model, graph.matrix())
    corpus = shop.corpus
    encoded = encode_catalogue(
        model, corpus.texts, corpus.text_of, shop.nodes.products, config.batch_texts, work / "encoded", progress
    )
    vectors = encoded.matrix
    metrics: dict[str, Any] = dict(tuned.metrics)
    if len(judge.pairs):
        metrics["retrieval.all_recall@20"] = pair_recall(vectors[shop.representatives], judge.pairs)
    metrics |= {
        "corpus.texts": len(corpus.texts),
        "corpus.pairs": len(shop.copurchases.train),
        "corpus.held_out_pairs": len(shop.copurchases.holdout),
        "corpus.searches": len(shop.searches.train),
        "tuning.steps": len(tuned.curve),
        "encoding.texts_per_second": encoded.texts_per_second,
    }
    if graph is not None:
        metrics[GRAPH_VERSION] = graph.version
    files = {name: work / name for name in (MODEL, QUERY, ADAPTERS) if (work / name).exists()}
    return TrainedEmbedding(
        family=FAMILY,
        snapshot_id=snapshot.id,
        vectors={"Product": Vectors(corpus.products, vectors)},
        config=asdict(config),
        metrics=metrics,
        best_epoch=len(tuned.curve),
        curves=tuned.curve,
        files=files,
        curve_unit="step",
        seeds=(seed,),
        device=str(device),
    )


class _Shop:
    """What training reads of a snapshot, read once.

    Attributes:
        representatives: (texts,), int64: of each text the row of the product that stands for it
    """

    def __init__(
        self, snapshot: Snapshot, config: TextConfig, graph: GraphVectors | None, searches: SearchPairs | None
    ) -> None:
        self.snapshot, self.graph = snapshot, graph
        self.corpus: Corpus = read_corpus(snapshot, config.corpus)
        self.copurchases: Copurchases = read_copurchases(snapshot, self.corpus, config.copurchase)
        self.searches = searches or read_search_pairs(snapshot, config.searches)
        self.representatives = representatives(snapshot, self.corpus)
        self.nodes = graph.nodes(snapshot) if graph is not None else _no_nodes(snapshot)
        self.inputs = text_inputs(self.corpus, self.representatives, self.nodes)
        self.examples = make_examples(
            snapshot, self.corpus, self.copurchases, self.searches, self.nodes, config.examples
        )

    def bought(self) -> sp.csr_array:
        """(users, products): 1 where a user bought a product before the baskets that judge."""
        return Purchases.of(self.snapshot).before(self.copurchases.until).binary()

    def sentences(self, config: TextConfig) -> list[str]:
        """What pre-training reads: products, the catalogue's triples, and what people search for; each once."""
        statements = read_statements(self.snapshot, config.corpus).sentences
        return sorted({*self.corpus.texts, *statements, *self.searches.queries})


def _no_nodes(snapshot: Snapshot) -> Nodes:
    return Nodes(*(np.full(snapshot.nodes[label].num_rows, ABSENT) for label in ("Product", "User")))


class Judge:
    """Loss and recall of held-out pairs among a fixed sample of the texts, which holds both ends of each.

    Attributes:
        pairs: (judged, 2), int64 rows of the texts
        rows: (sampled,), int64 rows of the texts to encode, ascending
    """

    def __init__(self, shop: _Shop, config: TextConfig, seed: int) -> None:
        holdout, texts = shop.copurchases.holdout, len(shop.corpus.texts)
        random = np.random.default_rng(seed)
        self.pairs = holdout[np.sort(random.permutation(len(holdout))[: config.judged_pairs])]
        others = np.random.default_rng(seed).permutation(texts)[: config.judged_texts]
        self.rows = np.unique(np.concatenate([self.pairs.ravel(), others]))
        self._links = shop.copurchases.links
        self._config = config.tuning
        self._seed = seed

    def figures(self, encoded: np.ndarray) -> dict[str, float]:
        """Figures of the sampled texts as a model encodes them; none without pairs.

        Shapes:
            encoded: (sampled, width), unit length
        """
        if not len(self.pairs):
            return {}
        found = {"retrieval.recall@20": pair_recall(encoded, np.searchsorted(self.rows, self.pairs))}
        drawn = list(islice(batches(self.pairs, self._links, self._config.batch_pairs, self._seed), JUDGED_BATCHES))
        if drawn:
            sides = [np.searchsorted(self.rows, self.pairs[numbers]).T for numbers in drawn]
            losses = [pair_loss(encoded[left], encoded[right], self._config.scale) for left, right in sides]
            found["tuning.loss"] = float(np.average(losses, weights=[len(left) for left, _ in sides]))
        return found


@dataclass(frozen=True)
class _Tuned:
    """How training went: of this run, or of one that was killed later on."""

    curve: list[EpochRecord]
    metrics: dict[str, float]


def _tuned(
    shop: _Shop,
    judge: Judge,
    config: TextConfig,
    device: str | torch.device,
    seed: int,
    work: Path,
    progress: Progress,
) -> tuple[SentenceTransformer, _Tuned]:
    """The fine-tuned model; work holds its files when this returns."""
    if (work / TUNING).exists():
        kept = json.loads((work / TUNING).read_text())
        tuned = _Tuned([EpochRecord(**record) for record in kept["curve"]], kept["metrics"])
        return open_fused(work / MODEL, device), tuned
    backbone = open_backbone(config.backbone, device, config.max_tokens, config.backbone_options, seed)
    sampled = [shop.corpus.texts[row] for row in judge.rows]
    before = judge.figures(encode_texts(backbone, sampled, config.batch_texts).matrix)
    sentences, tuning = shop.sentences(config), config.tuning
    metrics: dict[str, float] = {"corpus.characters": add_characters(backbone, sentences, config.characters, seed)}
    if metrics["corpus.characters"]:
        tuning = replace(tuning, frozen_layers=0)
    pretrained = pretrain(backbone, sentences, config.pretraining, device, seed, progress)
    if pretrained is not None:
        metrics["pretraining.perplexity_before"] = pretrained.before
        metrics["pretraining.perplexity_after"] = pretrained.after
    start = _start(shop, backbone, config, seed)
    model = fuse(backbone, *_fusion(shop, config), start)
    if shop.graph is not None:
        with_nodes(model, shop.graph.matrix())
    progress(STEP, 0, tuning.steps)
    with _whole(work) as draft:
        curve = tune(model, shop.examples, tuning, device, seed, progress, draft / ADAPTERS)
        inputs = [shop.inputs[row] for row in judge.rows]
        after = judge.figures(encode_texts(model, inputs, config.batch_texts).matrix)
        save_fused(model, draft / MODEL)
        if config.exported:
            export_queries(model, draft / QUERY)
            metrics["query.cosine_error"] = export_error(model, draft / QUERY, sampled[: config.batch_texts])
        metrics |= {
            f"{name}_{when}": value for when, of in (("before", before), ("after", after)) for name, value in of.items()
        }
        metrics["projection.kept"] = start.kept
        kept = {"curve": [asdict(record) for record in curve], "metrics": metrics}
        (draft / TUNING).write_text(json.dumps(kept))
    return model, _Tuned(curve, metrics)


def _start(shop: _Shop, backbone: SentenceTransformer, config: TextConfig, seed: int) -> Alignment:
    """Of the most bought texts, each product with its own vector of the graph where text and graph meet late."""
    fusion, graph_width = _fusion(shop, config)
    text_of, bought = shop.corpus.text_of, shop.bought()
    drawn = np.random.default_rng(seed).permutation(len(shop.corpus.texts))
    times = np.bincount(text_of, bought.sum(axis=0), len(drawn))
    texts = np.sort(drawn[np.argsort(-times[drawn], kind="stable")][: config.aligned_texts])
    encoded = encode_texts(backbone, [shop.corpus.texts[row] for row in texts], config.batch_texts).matrix
    products = np.flatnonzero(np.isin(text_of, texts))
    with_graph = aligned_width(fusion, 0, graph_width) > 0
    if with_graph:
        products = products[shop.nodes.products[products] != ABSENT]
    vectors = encoded[np.searchsorted(texts, text_of[products])]
    if with_graph and shop.graph is not None:
        vectors = np.hstack([vectors, shop.graph.products.matrix[shop.nodes.products[products]]])
    return fit_alignment(vectors, bought[:, products], config.dimension)


def _fusion(shop: _Shop, config: TextConfig) -> tuple[FusionConfig, int]:
    """How text and graph meet, and the graph's width; a shop without graph vectors reads texts alone."""
    if shop.graph is None:
        return replace(config.fusion, kind="none"), 0
    return config.fusion, shop.graph.products.matrix.shape[1]


class FusedReader:
    """A kept text version that reads products which came after its snapshot.

    Args:
        version_folder: the registry's folder of a text version.

    Raises:
        InputError: the folder is not that of a text version.
    """

    def __init__(self, version_folder: Path, device: str | torch.device = "cpu") -> None:
        self._model = open_fused(version_folder / MODEL, device)
        stated = json.loads((version_folder / CARD).read_text())["config"]["corpus"]
        self._corpus = CorpusConfig(**stated)

    def of(
        self, products: Sequence[ProductWords], brands: Iterable[str | None], graph: np.ndarray | None = None
    ) -> np.ndarray:
        """Vectors of products by what their texts are made of; for the rest see `encode`.

        Args:
            brands: names of all brands of the catalogue.
        """
        return self.encode(product_texts(products, brands, self._corpus), graph)

    def encode(self, texts: Sequence[str], graph: np.ndarray | None = None) -> np.ndarray:
        """Vectors of products by their texts.

        Args:
            graph: vectors of the version's own graph version, e.g. inductive ones; None where products have none yet.

        Shapes:
            graph: (texts, graph width)
            returns: (texts, dimension), float32, unit length

        Raises:
            InputError: the graph vectors are of another width, or not all numbers.
        """
        nodes = np.full(len(texts), ABSENT)
        if graph is not None:
            with_nodes(self._model, graph)
            nodes = np.arange(len(texts))
        row_of = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        text_of = np.array([row_of[text] for text in texts], np.int64)
        return encode_catalogue(self._model, list(row_of), text_of, nodes).matrix


def newcomer_encoder(
    version_folder: Path, snapshot: Snapshot, device: str | torch.device = "cpu"
) -> Callable[[list[str]], np.ndarray]:
    """What a publish calls for the products that came after a version's snapshot; they have no graph vectors yet.

    Args:
        version_folder: the registry's folder of a text version.
        snapshot: a later one, which holds the newcomers.

    Returns:
        a function from product ids to (ids, dimension), float32, unit length; it raises InputError for an id that the
        snapshot does not hold.
    """
    config = json.loads((version_folder / CARD).read_text())["config"]["corpus"]
    corpus = read_corpus(snapshot, CorpusConfig(**config))
    text_of = dict(zip(corpus.products, corpus.text_of.tolist(), strict=True))

    def encode(ids: list[str]) -> np.ndarray:
        missing = next((product for product in ids if product not in text_of), None)
        if missing is not None:
            raise InputError(f"product {missing!r} is not in snapshot {snapshot.id}: export a newer one")
        return FusedReader(version_folder, device).encode([corpus.texts[text_of[product]] for product in ids])

    return encode


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
