"""The text side of a kept text version as serving runs it: an exported network of 8-bit weights, without torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from shopgraph.errors import InputError

FOLDER = "query"
"""In the folder of a text version."""
NETWORK, TOKENIZER, READING = "network.onnx", "tokenizer.json", "reading.json"


class QueryEncoder:
    """Turns queries into vectors of the space that products of the same version are published in.

    Args:
        folder: `FOLDER` of a text version.
        threads: cores that one query may take.

    Raises:
        InputError: the folder holds no exported network, or a damaged one.
    """

    def __init__(self, folder: Path, threads: int = 1) -> None:
        import onnxruntime  # not before a server forks: a child that finds it loaded does not end

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(folder / NETWORK), options, providers=["CPUExecutionProvider"]
            )
            self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
            reading = json.loads((folder / READING).read_text())
            self._fixed = bool(reading["fixed_tokens"])
            self.dimension = int(reading["dimension"])
            self._tokenizer.enable_truncation(reading["max_tokens"])
            length = reading["max_tokens"] if self._fixed else None
            self._tokenizer.enable_padding(pad_id=reading["pad_id"], pad_token=reading["pad_token"], length=length)
        except Exception as error:  # onnxruntime and tokenizers raise bare ones of their own
            raise InputError(f"{folder}: no query encoder can be read there ({error})") from error

    def __call__(self, queries: Sequence[str]) -> np.ndarray:
        """
        Shapes:
            returns: (queries, dimension), float32, unit length
        """
        if not queries:
            return np.empty((0, self.dimension), np.float32)
        sound = [query.encode("utf-8", "replace").decode() or " " for query in queries]
        read = self._tokenizer.encode_batch(sound)
        ids = np.array([row.ids for row in read], np.int64)
        mask = np.array([row.attention_mask for row in read], np.int64)
        return self._session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
