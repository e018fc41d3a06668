"""`make bench-accuracy`: peers, our encoders and the learned fusion on one protocol, each in a process of its own."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from accuracy_model import CHOSEN, VARIANTS, ranker_groups
from machine import OUTPUT, PeakMemory, show, write
from shop_year import prepare

from shopgraph.evaluation import paired_bootstrap

FOLDER = OUTPUT / "accuracy"
SETTINGS = ("all", "novel", "cold")
METRICS = ("recall", "ndcg", "mrr", "coverage")
SEED = 7
MODEL_TIMEOUT_SECONDS = 3600
SECONDS = "seconds.json"
"""What each job's last run took, in the folder of the year."""


@dataclass(frozen=True)
class Row:
    """One model in one setting of the test weeks.

    Shapes:
        ndcg: (judged users,)
    """

    model: str
    kind: str
    setting: str
    means: dict[str, float]
    validation: float
    ndcg: np.ndarray
    timed: dict[str, Any]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", nargs="*", help="models to run (again); the others' last results are shown beside")
    options.add_argument("--fresh", action="store_true", help="forget what earlier runs left")
    asked = options.parse_args()
    year = FOLDER / "year"
    if asked.fresh:
        shutil.rmtree(year, ignore_errors=True)
    prepare(year)
    for kind, name in jobs():
        if asked.only is None or name in asked.only:
            run(year, kind, name)
    rows = list(read(year / "results"))
    parts = list(timed_parts(year / "results"))
    total = whole_run(year / SECONDS)
    figures = {**keys(rows), **speed_keys(parts), **total}
    tables = {f"{setting}, weeks 49-53": list(lines(rows, setting)) for setting in SETTINGS}
    tables["novel NDCG@20, vectors pushed the worst way"] = list(robust_lines(rows))
    tables["an epoch, each pair positive once"] = parts
    part = f"make bench-accuracy BENCH='--only {' '.join(asked.only or ())}'"
    path = write("accuracy", figures, tables) if total else write("accuracy-part", figures, tables, part)
    show(tables)
    print(f"written to {path}")


def jobs() -> Iterator[tuple[str, str]]:
    yield from (("peer", name) for name in CHOSEN["peers"])
    yield from (("encoder", name) for name in (*CHOSEN["encoders"], *CHOSEN["hardened"]))
    yield "speed", "epochs"
    yield from (("fused", group) for group in ranker_groups())


def run(year: Path, kind: str, name: str) -> None:
    print(f"{kind} {name}", flush=True)
    started = time.perf_counter()
    model = subprocess.Popen([sys.executable, Path(__file__).with_name("accuracy_model.py"), year, kind, name])
    with PeakMemory(model.pid) as memory:
        try:
            status = model.wait(timeout=MODEL_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            raise SystemExit(f"{kind} {name} took longer than {MODEL_TIMEOUT_SECONDS} s") from None
        finally:
            model.kill()
    if status != 0:
        raise SystemExit(f"{kind} {name} ended with status {status}")
    for each in results_of(kind, name):
        path = year / "results" / f"{each}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"peak_gib": memory.peak_bytes / 2**30}, indent=2))
    (year / SECONDS).write_text(
        json.dumps(job_seconds(year / SECONDS) | {f"{kind} {name}": time.perf_counter() - started}, indent=2)
    )


def job_seconds(path: Path) -> dict[str, float]:
    return json.loads(path.read_text()) if path.exists() else {}


def whole_run(path: Path) -> dict[str, float]:
    """Seconds of all jobs one after another; nothing where one of them was never timed."""
    taken = job_seconds(path)
    names = [f"{kind} {name}" for kind, name in jobs()]
    return {"accuracy.total_s": sum(taken[name] for name in names)} if set(names) <= set(taken) else {}


def results_of(kind: str, name: str) -> list[str]:
    """Names of the figures that a job leaves."""
    if kind == "fused":
        return [f"{model}-{setting}" for setting in ranker_groups()[name] for model in VARIANTS]
    return [] if kind == "speed" else [name]


def read(results: Path) -> Iterator[Row]:
    for kind, name in jobs():
        for model in results_of(kind, name):
            if not (results / f"{model}.npz").exists():
                continue
            timed = json.loads((results / f"{model}.json").read_text())
            if "peak_gib" not in timed:  # its job did not end well
                continue
            arrays = np.load(results / f"{model}.npz")
            for setting in SETTINGS:
                if f"test.{setting}.ndcg" in arrays:
                    means = {metric: float(arrays[f"test.{setting}.{metric}"].mean()) for metric in METRICS}
                    validation = float(arrays[f"validation.{setting}.ndcg"].mean())
                    ndcg = arrays[f"test.{setting}.ndcg"]
                    yield Row(model.partition("-")[0], kind, setting, means, validation, ndcg, timed)


def best(rows: list[Row], setting: str, kind: str) -> Row | None:
    """The model of a kind that the validation weeks prefer."""
    return max((r for r in rows if r.setting == setting and r.kind == kind), key=lambda r: r.validation, default=None)


def strongest_peer(rows: list[Row], setting: str) -> Row | None:
    """The peer with the highest figure in the test weeks themselves: no choice of ours may make the bar lower."""
    peers = (row for row in rows if row.setting == setting and row.kind == "peer")
    return max(peers, key=lambda row: row.means["ndcg"], default=None)


def keys(rows: list[Row]) -> dict[str, float]:
    figures: dict[str, float] = {}
    for row in rows:
        figures |= {f"{row.setting}.{metric}@20.{row.model}": value for metric, value in row.means.items()}
        figures[f"train_s.{row.model}"] = row.timed["train_s"]
        figures[f"users_per_s.{row.model}"] = row.timed["users_per_s"]
        figures[f"peak_gib.{row.model}"] = row.timed["peak_gib"]
        for epsilon, ndcg in row.timed.get("robust", {}).items():
            figures[f"robust.novel.ndcg@20.{row.model}.{epsilon}"] = ndcg
    for setting in SETTINGS:
        peer, alone = strongest_peer(rows, setting), best(rows, setting, "encoder")
        if peer is None:
            continue
        figures |= {f"{setting}.{metric}@20.best_peer": value for metric, value in peer.means.items()}
        fused = {row.model: row for row in rows if row.kind == "fused" and row.setting == setting}
        against = {"ours": fused.get("ours"), "encoder_alone": alone}
        if alone is not None:
            figures |= {f"{setting}.{metric}@20.encoder_alone": value for metric, value in alone.means.items()}
        for name, row in against.items():
            if row is not None:
                figures |= interval(f"{setting}.ndcg@20.{name}_over_best_peer", row, peer)
        if len(fused) == 2:
            figures |= interval(
                f"{setting}.ndcg@20.ours_over_without_graph", fused["ours"], fused["ours_without_graph"]
            )
    return figures


def robust_lines(rows: list[Row]) -> Iterator[dict[str, object]]:
    for row in rows:
        if row.setting == "novel" and "robust" in row.timed:
            pushed = {f"pushed by {epsilon}": round(ndcg, 4) for epsilon, ndcg in row.timed["robust"].items()}
            yield {"encoder": row.model, "as it is": round(row.means["ndcg"], 4), **pushed}


def timed_parts(results: Path) -> Iterator[dict[str, object]]:
    """Seconds of an epoch by encoder and part of the year."""
    for name in CHOSEN["encoders"]:
        path = results / f"speed-{name}.json"
        for part in json.loads(path.read_text()) if path.exists() else []:
            yield {
                "encoder": name,
                "share of the year": part["share"],
                "pairs": part["pairs"],
                "epoch s": round(part["epoch_s"], 2),
                "s per million pairs": round(1e6 * part["epoch_s"] / part["pairs"], 2),
            }


def speed_keys(parts: list[dict[str, object]]) -> dict[str, object]:
    found = {f"train.epoch_s.{part['encoder']}.{part['share of the year']:g}": part["epoch s"] for part in parts}
    whole = {f"train.epoch_s.{part['encoder']}": part["epoch s"] for part in parts if part["share of the year"] == 1}
    return found | whole


def interval(key: str, ours: Row, theirs: Row) -> dict[str, float]:
    """The gain as a share of what is compared with, and the 95 % interval of the difference."""
    compared = paired_bootstrap(ours.ndcg, theirs.ndcg, SEED)
    gain = ours.means["ndcg"] / theirs.means["ndcg"] - 1
    return {f"{key}.gain": gain, f"{key}.low": compared.low, f"{key}.high": compared.high}


def lines(rows: list[Row], setting: str) -> Iterator[dict[str, object]]:
    peer = strongest_peer(rows, setting)
    for row in sorted((row for row in rows if row.setting == setting), key=lambda row: -row.means["ndcg"]):
        compared = paired_bootstrap(row.ndcg, peer.ndcg, SEED) if peer is not None and row is not peer else None
        yield {
            "model": row.model,
            "Recall@20": round(row.means["recall"], 4),
            "NDCG@20": round(row.means["ndcg"], 4),
            "MRR": round(row.means["mrr"], 4),
            "coverage@20": round(row.means["coverage"], 4),
            "to the best peer": f"{compared.low:+.4f} to {compared.high:+.4f}" if compared else "",
            "NDCG@20, weeks 45-48": round(row.validation, 4),
            "train s": round(row.timed["train_s"], 1),
            "users/s": round(row.timed["users_per_s"]),
            "peak GiB": round(row.timed["peak_gib"], 1),
        }


if __name__ == "__main__":
    main()
