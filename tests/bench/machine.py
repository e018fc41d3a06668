"""What every benchmark writes: the machine, the commit, the figures by dotted key."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
OUTPUT = ROOT / "build" / "bench"


def facts() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def commit() -> str:
    asked = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False, timeout=10).stdout.strip()


def write(name: str, figures: dict[str, float], tables: dict[str, Any], command: str = "") -> Path:
    """Write build/bench/NAME.json and return its path; BENCHMARKS.md has a section a command."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    path = OUTPUT / f"{name}.json"
    command = command or f"make bench-{name}"
    content = {"machine": facts(), "commit": commit(), "command": command, "figures": figures, "tables": tables}
    path.write_text(json.dumps(content, indent=2, default=str) + "\n")
    return path


class PeakMemory:
    """The largest sum of resident memory over a process and all its descendants, sampled twice a second."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.peak_bytes = 0

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(0.5):
            self.peak_bytes = max(self.peak_bytes, self._tree_bytes())

    def _tree_bytes(self) -> int:
        total = 0
        try:
            tree = [self._process, *self._process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return 0
        for process in tree:
            try:
                total += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return total


def show(tables: Mapping[str, Sequence[Mapping[str, object]]], width: int = 160) -> None:
    """Print tables by their titles, columns as in each one's first row; empty ones are left out."""
    console = Console(width=width)
    for title, rows in tables.items():
        if rows:
            table = Table(*rows[0], title=title)
            for row in rows:
                table.add_row(*(str(row.get(name, "")) for name in rows[0]))
            console.print(table)


def percentile_95(seconds: list[float]) -> float:
    """The value that 95 % of the measurements do not exceed (nearest rank)."""
    ordered = sorted(seconds)
    return ordered[max(0, -(-len(ordered) * 95 // 100) - 1)]


def timed(call: Any, *arguments: Any, **named: Any) -> tuple[float, Any]:
    started = time.perf_counter()
    result = call(*arguments, **named)
    return time.perf_counter() - started, result


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
