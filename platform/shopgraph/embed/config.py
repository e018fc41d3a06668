"""Everything that may be set of a graph encoder and its training, checked where it is stated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shopgraph.embed.cuts import CutsConfig
from shopgraph.embed.head import POLES
from shopgraph.embed.loss import LOSSES
from shopgraph.embed.negatives import NegativesConfig
from shopgraph.embed.sampling import SamplingConfig, sampling_config
from shopgraph.errors import ConfigurationError
from shopgraph.learning.adversarial import AdversarialConfig
from shopgraph.learning.loop import LoopConfig
from shopgraph.learning.optimiser import OptimiserConfig
from shopgraph.schema import FAMILIES


@dataclass(frozen=True)
class GraphEmbeddingConfig:
    """What the encoder is and how it is trained."""

    encoder: str = "graphsage"
    """gcn, graphsage, gat, hgt or lightgcn."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the encoder's own config, see its file."""
    dimension: int = FAMILIES["graph"].dimension
    affinity_width: int = 128
    """Of those, columns that say what users are drawn to among what the catalogue states; see `affinity`."""
    half_life_weeks: float = 20.0
    """Age at which an event weighs half in the message graph."""
    cuts: CutsConfig = field(default_factory=CutsConfig)
    loss: str = "approx_ndcg"
    """bpr, sampled_softmax or approx_ndcg."""
    negatives: NegativesConfig = field(default_factory=NegativesConfig)
    users_per_batch: int = 600
    positives_per_user: int | None = 6
    """Drawn for each user of a batch; null takes every pair once an epoch."""
    sampling: SamplingConfig | None = None
    """How much of its neighbourhood a batch draws; null passes the messages of the whole graph, where memory holds it.
    Judging and the final vectors take all neighbours either way."""
    adversarial: AdversarialConfig = field(default_factory=AdversarialConfig)
    optimiser: OptimiserConfig = field(
        default_factory=lambda: OptimiserConfig(learning_rate=0.01, clip_norm=1.0, schedule="cosine", warmup_share=0.1)
    )
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(epochs=10))
    text_features: bool = False
    """Whether the frozen language model's vectors of the products' texts are features."""

    def __post_init__(self) -> None:
        """A config read back from a card has plain dicts for its parts."""
        parts = {"cuts": CutsConfig, "negatives": NegativesConfig, "adversarial": AdversarialConfig}
        for name, kind in {**parts, "optimiser": OptimiserConfig, "loop": LoopConfig}.items():
            if isinstance(getattr(self, name), Mapping):
                object.__setattr__(self, name, kind(**getattr(self, name)))
        if isinstance(self.sampling, Mapping):
            object.__setattr__(self, "sampling", sampling_config(self.sampling))
        if self.loss not in LOSSES:
            raise ConfigurationError(f"loss {self.loss!r}: choose from {', '.join(LOSSES)}")
        if self.affinity_width < 0 or self.dimension <= POLES + self.affinities:
            least = POLES + max(0, self.affinities) + 1
            raise ConfigurationError(
                f"dimension {self.dimension}: at least {least} with affinity_width {self.affinity_width}"
            )
        if self.text_features and self.encoder == "lightgcn":
            raise ConfigurationError("text_features: lightgcn reads no features, choose another encoder")

    @property
    def affinities(self) -> int:
        """Columns of affinities that the encoder reads."""
        return 0 if self.encoder == "lightgcn" else self.affinity_width
