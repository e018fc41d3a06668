"""The wheel is whole: installed outside the checkout, it serves a page with its styles, scripts and queries."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from shopgraph.services.broker import Broker
from shopgraph.services.local_process import free_port, listens
from shopgraph.services.neo4j_server import Neo4jServer
from shopgraph.settings import Settings

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")
PACKAGES = ("shopgraph", "shopgraph_client", "shopgraph_cypher", "shopgraph_web", "shopgraph_workers")
LONGEST_SECONDS = 120


def said(*command: object, **options: object) -> str:
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=LONGEST_SECONDS, check=False, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel holds and nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    said(UV, "build", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", folder, ROOT)
    (wheel,) = folder.glob("*.whl")
    said(UV, "pip", "install", "--no-deps", "--python", sys.executable, "--target", folder / "site", wheel)
    return folder / "site"


def test_the_installed_wheel_opens_a_page(
    installed: Path, settings: Settings, neo4j_server: Neo4jServer, broker: Broker, tmp_path: Path
) -> None:
    port = free_port(None)
    environment = {
        **os.environ,
        "PYTHONPATH": str(installed),
        "SHOPGRAPH_HOME": str(settings.home),
        "SHOPGRAPH_ACCOUNTS_URL": f"sqlite:///{tmp_path / 'people.db'}",
    }
    where = f"import {', '.join(PACKAGES)}; print(*(p.__path__[0] for p in ({', '.join(PACKAGES)})))"
    found = said(sys.executable, "-c", where, cwd=tmp_path, env=environment).split()
    assert found == [str(installed / name) for name in PACKAGES]
    log = tmp_path / "web.log"
    with log.open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "shopgraph_web", "web", "--port", str(port)],
            cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + LONGEST_SECONDS
        while not listens(port):
            assert child.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        page = requests.get(f"http://127.0.0.1:{port}/login", timeout=60)
        assert page.ok
        assert "Sign in" in page.text
        assets = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text)
        assert any("vendor" in asset for asset in assets)
        for asset in assets:
            assert requests.get(f"http://127.0.0.1:{port}{asset}", timeout=60).ok, asset
    finally:
        child.terminate()
        child.wait(30)
