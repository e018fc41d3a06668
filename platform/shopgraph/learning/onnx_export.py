"""Writing networks as ONNX, for onnxruntime to run where there is no torch."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

OPSET = 18


@contextmanager
def quiet() -> Iterator[None]:
    """Within it the exporters, which tell their steps on every logger they have, say nothing short of an error."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "root")]
    were = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, was in zip(loggers, were, strict=True):
            logger.setLevel(was)
