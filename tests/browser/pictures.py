"""Takes the README's pictures from the panel of a home that has data: dashboard, product, user, neighbourhood, jobs."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chromium import ARGUMENTS, executable
from playwright.sync_api import Page, sync_playwright

from shopgraph.graph.connection import Graph
from shopgraph.services.broker import Broker
from shopgraph.services.local_process import free_port, listens
from shopgraph.services.neo4j_server import Neo4jServer
from shopgraph.settings import Settings, load_settings
from shopgraph.wiring_serving import open_graph
from shopgraph_web.accounts import Person, add_person, datastore, db, new_password
from shopgraph_web.application import create_app

PHOTOGRAPHER = "pictures@shop.example"
LARGEST_BYTES = 200_000
WAIT_MILLISECONDS = 30_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("docs/pictures"))
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    settings = load_settings(clock="data")
    for server in (Neo4jServer(settings), Broker(settings)):
        server.start()
    with open_graph(settings) as graph:
        pages = _pages(graph)
    with _admin(settings) as person, _panel(settings) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=list(ARGUMENTS))
        page = browser.new_page(base_url=address, viewport={"width": 1280, "height": 800})
        _sign_in(page, person)
        for name, (where, ready) in pages.items():
            _take(page, where, ready, folder / f"{name}.png")
        browser.close()


def _pages(graph: Graph) -> dict[str, tuple[str, str]]:
    """By picture: the address, and what must be on the page before it is taken."""
    listed = graph.record("products_on_sale", skip=0, limit=1)
    product = listed["products"][0]["id"]
    users = graph.record("users_page", prefix="", after="", limit=100)["users"]
    user = max(users, key=lambda user: user["purchases"])["id"]
    return {
        "dashboard": ("/", "[data-drawn]"),
        "products": ("/products/", "table"),
        "product": (f"/products/{product}", "#similar .recommended"),
        "user": (f"/users/{user}", "#recommended .recommended"),
        "neighbourhood": (f"/neighbourhood/?label=Product&id={product}", "#drawing[data-nodes]"),
        "jobs": ("/jobs/", "main .card"),
    }


def _take(page: Page, where: str, ready: str, path: Path) -> None:
    page.goto(where)
    page.wait_for_selector(ready, timeout=WAIT_MILLISECONDS)
    page.wait_for_timeout(300)
    page.screenshot(path=path)
    size = path.stat().st_size
    if size > LARGEST_BYTES:
        raise SystemExit(f"error: {path} has {size:,} bytes, more than {LARGEST_BYTES:,}")
    print(f"{path}: {size:,} bytes")


def _sign_in(page: Page, person: Person) -> None:
    page.goto("/")
    page.get_by_label("E-mail").fill(person.email)
    page.get_by_label("Password").fill(person.password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_selector("h1", timeout=WAIT_MILLISECONDS)


@contextmanager
def _admin(settings: Settings) -> Iterator[Person]:
    """A person for as long as the pictures take."""
    app = create_app(settings)
    with app.app_context():
        known = datastore.find_user(email=PHOTOGRAPHER)
        person = new_password(known) if known else add_person(PHOTOGRAPHER, "admin")
    yield person
    with app.app_context():
        datastore.delete_user(datastore.find_user(email=PHOTOGRAPHER))
        db.session.commit()


@contextmanager
def _panel(settings: Settings) -> Iterator[str]:
    port = free_port(None)
    environment = {**os.environ, "SHOPGRAPH_HOME": str(settings.home), "SHOPGRAPH_CLOCK": "data"}
    child = subprocess.Popen(
        [sys.executable, "-m", "shopgraph_web", "web", "--port", str(port)], env=environment, stdout=subprocess.DEVNULL
    )
    try:
        while not listens(port):
            if child.poll() is not None:
                raise SystemExit(f"error: the panel ended with status {child.returncode}")
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        child.terminate()
        child.wait(30)


if __name__ == "__main__":
    main()
