"""What each tracker was told is read back from where it keeps it; nothing leaves the machine."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shopgraph.errors import ConfigurationError, ServiceError
from shopgraph.learning.mlflow_tracker import permitted
from shopgraph.learning.tracker import Tracker, Untracked, open_tracker, required

CONFIG = {"snapshot": "s1", "config": {"loop": {"epochs": 3}}, "seed": 7}
CURVE = [(1, {"loss": 0.9, "novel.ndcg@20": 0.25}), (2, {"loss": 0.5, "novel.ndcg@20": 0.5})]


def tell(tracker: Tracker, run_id: str | None = None, first: int = 0) -> str:
    run_id = tracker.start(CONFIG, run_id)
    for step, figures in CURVE:
        tracker.log(first + step, figures)
    tracker.finish(True, {"novel.ndcg@20": 0.5})
    return run_id


def test_tensorboard_holds_the_curve_and_the_config(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run_id = tell(open_tracker("tensorboard", tmp_path))
    assert tell(open_tracker("tensorboard", tmp_path), run_id, first=2) == run_id
    events = EventAccumulator(str(tmp_path / "tensorboard" / run_id))
    events.Reload()
    assert [(point.step, point.value) for point in events.Scalars("loss")] == [
        (1, pytest.approx(0.9)), (2, 0.5), (3, pytest.approx(0.9)), (4, 0.5)
    ]  # fmt: skip
    assert events.Scalars("best/novel.ndcg@20")[0].value == 0.5
    assert b'"epochs": 3' in events.Tensors("config/text_summary")[0].tensor_proto.string_val[0]


def ended(path: Path) -> list[Any]:
    """The records of a run once its last one is written, which wandb's own process does a moment after `finish`."""
    deadline = time.monotonic() + 30
    while not (records := list(wandb_records(path))) or not records[-1].HasField("exit"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return records


def wandb_records(path: Path) -> Iterator[Any]:
    """The records of an offline run: LevelDB's log format, 7 bytes of header, blocks of 32 KiB, no record cut here."""
    from wandb.proto.wandb_internal_pb2 import Record

    kept = path.read_bytes()
    assert kept[:4] == b":W&B"
    at = 7
    while at + 7 <= len(kept) < 32_768:
        length = int.from_bytes(kept[at + 4 : at + 6], "little")
        yield Record.FromString(kept[at + 7 : at + 7 + length])
        at += 7 + length


def test_wandb_keeps_an_offline_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    run_id = tell(open_tracker("wandb", tmp_path / "run"))
    (kept,) = (tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb")
    assert kept.stem == f"run-{run_id}"
    records = ended(kept)
    history = [
        {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
        for record in records
        if record.HasField("history")
    ]
    assert [(row["_step"], row["loss"], row["novel.ndcg@20"]) for row in history] == [(1, 0.9, 0.25), (2, 0.5, 0.5)]
    summary = {
        item.key or ".".join(item.nested_key): json.loads(item.value_json)
        for record in records
        for item in record.summary.update
    }
    assert summary["best.novel.ndcg@20"] == 0.5
    config = {item.key: item.value_json for record in records for item in record.run.config.update}
    assert config["config.loop.epochs"] == "3"
    assert not list((tmp_path / "run").rglob("requirements.txt"))
    assert not list((tmp_path / "run").rglob("wandb-metadata.json"))


def test_mlflow_holds_the_curve_the_config_and_the_end(tmp_path: Path) -> None:
    from mlflow.tracking import MlflowClient

    run_id = tell(open_tracker("mlflow", tmp_path))
    assert tell(open_tracker("mlflow", tmp_path), run_id, first=2) == run_id
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    history = client.get_metric_history(run_id, "novel.ndcg_at_20")
    assert [(point.step, point.value) for point in history] == [(1, 0.25), (2, 0.5), (3, 0.25), (4, 0.5)]
    run = client.get_run(run_id)
    assert run.data.params == {"snapshot": "s1", "config.loop.epochs": "3", "seed": "7"}
    assert run.data.metrics["best.novel.ndcg_at_20"] == 0.5
    assert run.info.status == "FINISHED"
    failed = open_tracker("mlflow", tmp_path)
    other = failed.start({str(number): number for number in range(120)})
    failed.finish(False, {})
    assert client.get_run(other).info.status == "FAILED"
    assert len(client.get_run(other).data.params) == 120


def test_an_mlflow_server_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ServiceError, match=address):
            open_tracker("mlflow", tmp_path, address).start(CONFIG)


def test_names_become_what_mlflow_takes() -> None:
    assert permitted("novel.ndcg@20") == "novel.ndcg_at_20"
    assert permitted("share (%)") == "share ___"


def test_what_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    assert isinstance(open_tracker("none", tmp_path), Untracked)
    with pytest.raises(ConfigurationError, match="none, tensorboard, wandb, mlflow"):
        open_tracker("comet", tmp_path)
    with pytest.raises(ConfigurationError, match="has no server"):
        open_tracker("tensorboard", tmp_path, "http://127.0.0.1:1")
    with pytest.raises(ConfigurationError, match=r"'a_package_nobody_has'.* pip install 'shopgraph\[wandb\]'"):
        required("a_package_nobody_has", "wandb")
