"""How texts are learned, all of it in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shopgraph.dataset.copurchase import CopurchaseConfig
from shopgraph.dataset.corpus import CorpusConfig
from shopgraph.dataset.searches import SearchPairsConfig
from shopgraph.errors import ConfigurationError
from shopgraph.schema import FAMILIES
from shopgraph.text.backbone import DEFAULT
from shopgraph.text.examples import ExamplesConfig
from shopgraph.text.pretraining import PretrainingConfig
from shopgraph.text.stages import FusionConfig
from shopgraph.text.tuning import TuningConfig

FAMILY = "text"


@dataclass(frozen=True)
class TextConfig:
    """How texts are learned."""

    backbone: str = DEFAULT
    """A name that `open_backbone` knows, or a folder."""
    backbone_options: Mapping[str, Any] = field(default_factory=dict)
    """Sizes of a backbone that is built untrained, by transformers' names for them."""
    characters: int = 5
    """Texts that must hold a character which the tokenizer does not know, for it to become a token; with 0 none does,
    nor where few texts hold such. Where some do, no layer is frozen: they have to be learned."""
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
    named: float = 0.25
    """Share of that start in which the names of categories, brands, authors and attributes are queries for their
    products: a shop without a record of searches has no others."""
    named_most: int = 5000
    """Names that are read for it, those of the most products."""
    corpus: CorpusConfig = field(default_factory=CorpusConfig)
    copurchase: CopurchaseConfig = field(default_factory=CopurchaseConfig)
    searches: SearchPairsConfig = field(default_factory=SearchPairsConfig)
    examples: ExamplesConfig = field(default_factory=ExamplesConfig)
    pretraining: PretrainingConfig = field(default_factory=PretrainingConfig)
    fusion: FusionConfig = field(default_factory=FusionConfig)
    tuning: TuningConfig = field(default_factory=TuningConfig)

    def __post_init__(self) -> None:
        if not 0 <= self.named < 1:
            raise ConfigurationError(f"named={self.named}: must be from 0 to below 1")
