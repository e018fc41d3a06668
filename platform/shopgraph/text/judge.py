"""What judges a text model: pairs bought together later than all that it learned from."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import numpy as np

from shopgraph.dataset.copurchase import Copurchases
from shopgraph.text.config import TextConfig
from shopgraph.text.retrieval import pair_loss, pair_recall
from shopgraph.text.tuning import batches

JUDGED_BATCHES = 8


class Judge:
    """Loss and recall of held-out pairs among a fixed sample of the texts, which holds both ends of each.

    Attributes:
        pairs: (judged, 2), int64 rows of the texts
        rows: (sampled,), int64 rows of the texts to encode, ascending
    """

    def __init__(self, copurchases: Copurchases, texts: int, config: TextConfig, seed: int) -> None:
        holdout = copurchases.holdout
        random = np.random.default_rng(seed)
        self.pairs = holdout[np.sort(random.permutation(len(holdout))[: config.judged_pairs])]
        others = np.random.default_rng(seed).permutation(texts)[: config.judged_texts]
        self.rows = np.unique(np.concatenate([self.pairs.ravel(), others]))
        self._links = copurchases.links
        self._config = config.tuning
        self._seed = seed

    def figures(self, encode: Callable[[], np.ndarray]) -> dict[str, float]:
        """Figures of the sampled texts as a model encodes them; none without pairs, and then it is not asked.

        Shapes:
            encode(): (sampled, width), unit length
        """
        if not len(self.pairs):
            return {}
        encoded = encode()
        found = {"retrieval.recall@20": pair_recall(encoded, np.searchsorted(self.rows, self.pairs))}
        drawn = list(islice(batches(self.pairs, self._links, self._config.batch_pairs, self._seed), JUDGED_BATCHES))
        if drawn:
            sides = [np.searchsorted(self.rows, self.pairs[numbers]).T for numbers in drawn]
            losses = [pair_loss(encoded[left], encoded[right], self._config.scale) for left, right in sides]
            found["tuning.loss"] = float(np.average(losses, weights=[len(left) for left, _ in sides]))
        return found
