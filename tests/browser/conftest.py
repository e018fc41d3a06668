"""A real browser on the real server: the hand-made shop, loaded and derived, behind gunicorn on a free port."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from shopgraph.dataset.snapshot import export_snapshot
from shopgraph.derivation.derive import derive
from shopgraph.graph.connection import Graph
from shopgraph.ingest.loading import load_incremental
from shopgraph.ingest.shop_csv import read_shop
from shopgraph.privacy.pseudonym import open_pseudonymiser
from shopgraph.sample import SAMPLE, START, WEEKS, write_sample
from shopgraph.services.broker import Broker
from shopgraph.services.local_process import free_port, listens
from shopgraph.settings import Settings

START_TIMEOUT_SECONDS = 90.0
expect.set_options(timeout=20_000)
NEVER_SEEN = "the first sign-in was not told on the terminal"
EMPTY = "CYPHER 25 MATCH (n) WHERE NOT n:__Neo4jMigration CALL (n) { DETACH DELETE n }"


@dataclass(frozen=True)
class Panel:
    """A running server and what its terminal told about the first sign-in."""

    address: str
    email: str
    password: str
    key: str


@pytest.fixture(scope="session")
def shop(settings: Settings, shared_graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> Graph:
    """The sample shop, with what is bought together and popularity derived."""
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder)
    shared_graph.driver.execute_query(EMPTY, database_=shared_graph.database)
    load_incremental(shared_graph, read_shop(folder, SAMPLE, open_pseudonymiser(settings)), "browser-test")
    end = START + timedelta(weeks=WEEKS)
    derive(shared_graph, export_snapshot(shared_graph, end, tmp_path_factory.mktemp("snapshots")), end)
    return shared_graph


@pytest.fixture(scope="session")
def panel(settings: Settings, shop: Graph, broker: Broker) -> Iterator[Panel]:
    """`shopgraph web`, as a person starts it."""
    port = free_port(None)
    environment = {**os.environ, "SHOPGRAPH_HOME": str(settings.home), "SHOPGRAPH_CLOCK": "data", "COLUMNS": "200"}
    log = settings.home / "terminal.log"
    with log.open("wb") as output:
        child = subprocess.Popen(
            [str(Path(sys.executable).with_name("shopgraph")), "web", "--port", str(port)],
            env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        yield _await(child, log, port)
    finally:
        child.terminate()
        child.wait(30)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = _chromium()
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium.executable(), args=list(chromium.ARGUMENTS))
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser, panel: Panel) -> Iterator[Page]:
    """A page in which the first admin has signed in; anything the browser complains of fails the test."""
    context = browser.new_context(base_url=panel.address, viewport={"width": 1360, "height": 860})
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.goto("/")
    page.get_by_label("E-mail").fill(panel.email)
    page.get_by_label("Password").fill(panel.password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{panel.address}/")
    yield page
    context.close()
    assert complaints == []


def _await(child: subprocess.Popen[bytes], log: Path, port: int) -> Panel:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline and child.poll() is None:
        told = log.read_text()
        found = re.search(r"sign in as (\S+) with the password (\S+) .*first API key: (\S+)", told, re.DOTALL)
        if found and listens(port):
            return Panel(f"http://127.0.0.1:{port}", *found.groups())
        time.sleep(0.2)
    raise AssertionError(f"{NEVER_SEEN}:\n{log.read_text()}")


def _chromium() -> object:
    """The module beside this file; nothing under tests is a package."""
    spec = spec_from_file_location("chromium", Path(__file__).with_name("chromium.py"))
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
