"""`shopgraph encode`: vectors for what came after the release's snapshot, now."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Annotated

import typer

from shopgraph.settings import load_settings
from shopgraph.wiring_training import build_training


def encode(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Give new products, and users with new purchases, their vectors under the release that serves."""
    with build_training(load_settings()) as training:
        started = time.monotonic()
        encoded = training.encode_new()
        seconds = time.monotonic() - started
    if as_json:
        print(json.dumps({**asdict(encoded), "seconds": round(seconds, 3)}))
    elif encoded.release is None:
        print("nothing came since the last look")
    else:
        print(f"{encoded.products} products and {encoded.users} users encoded for {encoded.release} in {seconds:.2f} s")
