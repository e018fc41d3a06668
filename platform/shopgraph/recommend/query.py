"""What was typed, as each index takes it: words for the full-text index, a vector for that of the text embedding."""

from __future__ import annotations

import re
from pathlib import Path

from shopgraph.query_encoder import FOLDER, NETWORK, QueryEncoder
from shopgraph.recommend.opened import opened_once

MOST_WORDS = 64
"""Of a query; a full-text index refuses a thousand."""
_WORD = re.compile(r"\w+")


def any_word(query: str) -> str:
    """A Lucene expression for products that have some of the words, the more and the rarer the better.

    Only letters and digits, in lower case, reach the parser: no punctuation breaks it, and no word is an operator.
    """
    words = [word.lower() for word in _WORD.findall(query)]
    return " ".join(words[:MOST_WORDS]) or '""'


class QueryVectors:
    """Encodes queries by the text version that serves.

    Args:
        models: the folder of all model versions.
    """

    def __init__(self, models: Path) -> None:
        self._models = models

    def __call__(self, version: str | None, query: str) -> list[float] | None:
        """The query's vector; nothing without a version, or where its query encoder was not exported to this machine.

        Raises:
            InputError: the encoder is damaged.
        """
        folder = self._models / version / FOLDER if version else None
        if folder is None or not (folder / NETWORK).exists():
            return None
        return _opened(folder)([query])[0].tolist()


@opened_once
def _opened(folder: Path) -> QueryEncoder:
    return QueryEncoder(folder)
