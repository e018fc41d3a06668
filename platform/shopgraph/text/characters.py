"""Characters that a tokenizer does not know: a shop of another script than the backbone's would be read as blanks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from shopgraph.text.backbone import network_of, readable

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


FOREIGN = 0.05
"""Share of texts that hold unknown characters, below which none is added: for a few foreign words the whole backbone
would have to learn."""


def add_characters(model: SentenceTransformer, texts: Sequence[str], least: int, seed: int) -> int:
    """Make unknown characters tokens of a model, in place; training has to teach it what they mean.

    Args:
        least: texts that must hold a character.

    Returns:
        how many were added; none to a tokenizer that knows every byte, or where few texts would need them.
    """
    tokenizer, network = model.tokenizer, network_of(model)
    if tokenizer.unk_token_id is None or not least:
        return 0
    counted = Counter(character for text in readable(texts) for character in set(text))
    common = sorted(character for character, count in counted.items() if count >= least and character.isprintable())
    common = [character for character in common if not character.isspace()]
    if not common:
        return 0
    read = tokenizer(common, add_special_tokens=False)["input_ids"]
    unknown = [character for character, ids in zip(common, read, strict=True) if tokenizer.unk_token_id in ids]
    holding = sum(not set(unknown).isdisjoint(text) for text in texts)
    if holding < FOREIGN * len(texts):
        return 0
    if unknown:
        tokenizer.add_tokens(unknown)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    return len(unknown)
