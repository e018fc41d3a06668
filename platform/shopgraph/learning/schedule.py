"""Learning-rate schedules by name: the share of the full rate that each optimiser step takes."""

from __future__ import annotations

import math

SCHEDULES = ("constant", "cosine")


def rate_share(name: str, step: int, steps: int, warmup_share: float) -> float:
    """What the learning rate is multiplied by at one step.

    It rises linearly over the first `warmup_share` of the steps (Goyal et al. 2017), to 1 at the last of them; then it
    stays there (constant) or falls along half a cosine (Loshchilov & Hutter 2017, without restarts).

    Args:
        name: one of `SCHEDULES`.
        step: counted from 0; past the planned steps a cosine stays at its end, 0.
        steps: optimiser steps of the whole run.

    Returns:
        in (0, 1] at each of the planned steps.
    """
    warmup = round(warmup_share * steps)
    if step < warmup:
        return (step + 1) / warmup
    if name == "constant":
        return 1.0
    done = (step - warmup) / max(steps - warmup, 1)
    return 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0)))
