"""The text embedding from a snapshot to vectors: corpus, fine-tuning, encoding, projection, and the figures of each."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shopgraph.dataset.copurchase import CopurchaseConfig, Copurchases, read_copurchases
from shopgraph.dataset.corpus import Corpus, CorpusConfig, read_corpus
from shopgraph.dataset.snapshot import Snapshot
from shopgraph.errors import InputError
from shopgraph.learning.trained import EpochRecord, TrainedEmbedding
from shopgraph.registry import CARD, Vectors
from shopgraph.schema import FAMILIES
from shopgraph.text.backbone import DEFAULT, backbone_path, open_encoder, save_encoder
from shopgraph.text.contrastive import ContrastiveConfig, batches, fine_tune
from shopgraph.text.encoding import encode_texts
from shopgraph.text.projection import Projection, fit_projection
from shopgraph.text.retrieval import cosine_error, pair_loss, pair_recall
from shopgraph.tracking import Progress, silent

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

FAMILY = "text"
MODEL, PROJECTION, TUNING = "model", "projection.npz", "tuning.json"
JUDGED_BATCHES = 8


@dataclass(frozen=True)
class TextConfig:
    """How texts are learned."""

    backbone: str = DEFAULT
    """A name that `backbone_path` knows, or a folder."""
    max_tokens: int = 64
    """Tokens of a text that are read; product texts without descriptions have 20 to 40."""
    dimension: int = FAMILIES[FAMILY].dimension
    """Width of the published vectors."""
    batch_texts: int = 64
    """Texts encoded at once."""
    judged_pairs: int = 500
    """Held-out pairs that judge the model before and after fine-tuning."""
    judged_texts: int = 2000
    """Texts they are searched among before and after; all texts would double the encoding."""
    corpus: CorpusConfig = field(default_factory=CorpusConfig)
    copurchase: CopurchaseConfig = field(default_factory=CopurchaseConfig)
    contrastive: ContrastiveConfig = field(default_factory=ContrastiveConfig)


def train_text_embedding(
    snapshot: Snapshot,
    config: TextConfig,
    device: str | torch.device,
    seed: int,
    folder: Path,
    progress: Progress = silent,
) -> TrainedEmbedding:
    """Fine-tune on what is bought together, encode every distinct text once, project.

    A killed run called again with the same arguments keeps its fine-tuned model and its encoded chunks. Without enough
    purchases the backbone serves untouched, and `contrastive.steps` is 0.

    Args:
        folder: working files go to a folder of this snapshot, config and seed within it; the caller may remove it once
            the version is saved.

    Returns:
        vectors of `Product`, (products, config.dimension); the curve has one record a step. Metrics:
            contrastive.loss_before, .loss_after: on held-out pairs, without dropout
            retrieval.recall@20_before, .recall@20_after: of held-out pairs among `judged_texts`, at the model's width
            retrieval.all_recall@20: among all texts, as published
            projection.kept_energy, projection.cosine_error: see `Projection`, `cosine_error`
            corpus.texts, corpus.pairs, corpus.held_out_pairs: counts
            encoding.texts_per_second: of what this run encoded

    Raises:
        InputError: the snapshot has no products, or the config does not fit the backbone.
    """
    if not snapshot.ids("Product"):
        raise InputError(f"snapshot {snapshot.id} has no products: there are no texts to learn from")
    progress("text: corpus", 0, 1)
    corpus = read_corpus(snapshot, config.corpus)
    copurchases = read_copurchases(snapshot, corpus, config.copurchase)
    progress("text: corpus", 1, 1, f"{len(corpus.texts)} texts, {len(copurchases.train)} pairs")
    work = folder / _key(snapshot, config, seed)
    judge = Judge(corpus, copurchases, config, seed)
    model, curve, before = _tuned(corpus, copurchases, judge, config, device, seed, work, progress)
    encoded = encode_texts(model, corpus.texts, config.batch_texts, work / "encoded", progress)
    after = judge.figures(encoded.matrix[judge.rows])
    projection = fit_projection(encoded.matrix, config.dimension)
    projection.write(work / PROJECTION)
    vectors = projection(encoded.matrix)
    metrics = _before_and_after(before, after)
    if len(judge.pairs):
        metrics["retrieval.all_recall@20"] = pair_recall(vectors, judge.pairs)
    metrics |= {
        "corpus.texts": len(corpus.texts),
        "corpus.pairs": len(copurchases.train),
        "corpus.held_out_pairs": len(copurchases.holdout),
        "contrastive.steps": len(curve),
        "projection.kept_energy": projection.kept_energy,
        "projection.cosine_error": cosine_error(encoded.matrix, vectors, seed),
        "encoding.texts_per_second": encoded.texts_per_second,
    }
    return TrainedEmbedding(
        family=FAMILY,
        snapshot_id=snapshot.id,
        vectors={"Product": Vectors(corpus.products, vectors[corpus.text_of])},
        config=asdict(config),
        metrics=metrics,
        best_epoch=len(curve),
        curves=curve,
        files={MODEL: work / MODEL, PROJECTION: work / PROJECTION},
        curve_unit="step",
        seeds=(seed,),
        device=str(device),
    )


def _before_and_after(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    found = (("before", before), ("after", after))
    return {f"{name}_{when}": value for when, figures in found for name, value in figures.items()}


def encode_products(version_folder: Path, texts: Sequence[str], device: str | torch.device = "cpu") -> np.ndarray:
    """Encode texts as a kept version did: products newer than its snapshot, or queries.

    Args:
        version_folder: the registry's folder of a text version.
        texts: as `read_corpus` or `product_text` writes them.

    Shapes:
        returns: (texts, dimension), float32, unit length

    Raises:
        InputError: the folder is not that of a text version.
    """
    projection = Projection.read(version_folder / PROJECTION)
    model = open_encoder(version_folder / MODEL, device)
    return projection(encode_texts(model, texts).matrix)


def newcomer_encoder(
    version_folder: Path, snapshot: Snapshot, device: str | torch.device = "cpu"
) -> Callable[[list[str]], np.ndarray]:
    """What a publish calls for the products that came after a version's snapshot.

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
        rows, row_of = np.unique([text_of[product] for product in ids], return_inverse=True)
        return encode_products(version_folder, [corpus.texts[row] for row in rows], device)[row_of]

    return encode


class Judge:
    """Loss and recall of held-out pairs among a fixed sample of the texts, which holds both ends of each.

    Attributes:
        pairs: (judged, 2), int64 rows of the texts
        rows: (sampled,), int64 rows of the texts to encode, ascending
    """

    def __init__(self, corpus: Corpus, copurchases: Copurchases, config: TextConfig, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.pairs = copurchases.holdout[np.sort(random.permutation(len(copurchases.holdout))[: config.judged_pairs])]
        others = np.random.default_rng(seed).permutation(len(corpus.texts))[: config.judged_texts]
        self.rows = np.unique(np.concatenate([self.pairs.ravel(), others]))
        self._links = copurchases.links
        self._config = config.contrastive
        self._seed = seed

    def figures(self, encoded: np.ndarray) -> dict[str, float]:
        """Figures of the sampled texts as a model encodes them; none without pairs.

        Shapes:
            encoded: (sampled, width), unit length
        """
        if not len(self.pairs):
            return {}
        found = {"retrieval.recall@20": pair_recall(encoded, np.searchsorted(self.rows, self.pairs))}
        drawn = batches(self.pairs, self._links, self._config.batch_pairs, self._seed)
        sides = [np.searchsorted(self.rows, batch).T for batch in islice(drawn, JUDGED_BATCHES)]
        if sides:
            losses = [pair_loss(encoded[left], encoded[right], self._config.scale) for left, right in sides]
            found["contrastive.loss"] = float(np.average(losses, weights=[len(left) for left, _ in sides]))
        return found


def _tuned(
    corpus: Corpus,
    copurchases: Copurchases,
    judge: Judge,
    config: TextConfig,
    device: str | torch.device,
    seed: int,
    work: Path,
    progress: Progress,
) -> tuple[SentenceTransformer, list[EpochRecord], dict[str, float]]:
    """The fine-tuned model, its curve, and the figures from before: of this run, or of one that was killed later on."""
    kept = work / MODEL
    if (kept / TUNING).exists():
        tuning = json.loads((kept / TUNING).read_text())
        return open_encoder(kept, device), [EpochRecord(**record) for record in tuning["curve"]], tuning["before"]
    model = open_encoder(backbone_path(config.backbone), device, config.max_tokens)
    before: dict[str, float] = {}
    if len(judge.pairs):
        sampled = [corpus.texts[row] for row in judge.rows]
        before = judge.figures(encode_texts(model, sampled, config.batch_texts).matrix)
    progress("text: fine-tune", 0, config.contrastive.steps)
    curve = fine_tune(model, corpus.texts, copurchases.train, copurchases.links, config.contrastive, seed, progress)
    _keep(model, {"curve": [asdict(record) for record in curve], "before": before}, kept)
    return model, curve, before


def _key(snapshot: Snapshot, config: TextConfig, seed: int) -> str:
    asked = json.dumps([snapshot.id, asdict(config), seed], sort_keys=True)
    return f"{FAMILY}-{hashlib.sha256(asked.encode()).hexdigest()[:16]}"


def _keep(model: SentenceTransformer, tuning: dict[str, object], target: Path) -> None:
    """Save the model whole or not at all."""
    draft = target.with_name(f".{target.name}-{secrets.token_hex(4)}")
    draft.mkdir(parents=True)
    try:
        save_encoder(model, draft)
        (draft / TUNING).write_text(json.dumps(tuning))
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
