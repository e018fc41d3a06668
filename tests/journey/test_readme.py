"""A shop from CSV to page, by the commands of the README as they stand there; nothing of it is left running."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from string import Template

import psutil
import pytest
import requests

from shopgraph.privacy.pseudonym import open_pseudonymiser
from shopgraph.services.local_process import free_port
from shopgraph.settings import load_settings

ROOT = Path(__file__).parents[2]
USER = "user-001"
LONGEST_SECONDS = 300


def commands() -> list[str]:
    """The lines of the block under "Your own shop", without their comments."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Your own shop")[2]
    lines = section.split("```")[1].strip().splitlines()
    return [line.partition("  #")[0].strip() for line in lines]


class Shell:
    """Runs the README's lines one after the other: exports stay, `&` goes to the background."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "myshop"
        self.environment = {**os.environ, "SHOPGRAPH_WEB_PORT": str(free_port(None)), "COLUMNS": "200"}
        self.environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.background: dict[str, subprocess.Popen[bytes]] = {}

    def run(self, line: str) -> str:
        words = shlex.split(line.replace("~/myshop", str(self.home)))
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            self.environment[name] = Template(value).substitute(self.environment, PWD=ROOT)
            return ""
        if words[-1] == "&":
            with self.log(words[1]).open("wb") as output:
                self.background[words[1]] = subprocess.Popen(
                    words[:-1], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=output,
                    stderr=output,
                )  # fmt: skip
            return ""
        done = subprocess.run(
            words, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=LONGEST_SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def interrupt(self) -> None:
        """Ctrl-C for what is in the background."""
        for child in self.background.values():
            child.send_signal(signal.SIGINT)
        for child in self.background.values():
            child.wait(60)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    try:
        yield shell
    finally:
        for child in shell.background.values():
            child.kill()
        subprocess.run(["shopgraph", "services", "stop"], env=shell.environment, timeout=120, check=False)


def signed_in(shell: Shell) -> tuple[requests.Session, str, str]:
    """A browser that the first admin has signed in with, the panel's address, and the first API key."""
    deadline = time.monotonic() + 90
    pattern = r"sign in as (\S+) with the password (\S+) .*first API key: (\S+)"
    while (told := re.search(pattern, shell.log("web").read_text(), re.DOTALL)) is None:
        assert time.monotonic() < deadline, shell.log("web").read_text()
        time.sleep(0.2)
    email, password, key = told.groups()
    address = f"http://127.0.0.1:{shell.environment['SHOPGRAPH_WEB_PORT']}"
    browser = requests.Session()
    while True:
        try:
            form = browser.get(f"{address}/login", timeout=30)
            break
        except requests.ConnectionError:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', form.text).group(1)
    entry = {"email": email, "password": password, "csrf_token": token}
    assert browser.post(form.url, data=entry, headers={"Referer": form.url}, timeout=30).ok
    return browser, address, key


def started_in(home: Path) -> list[str]:
    """Command lines of living processes that name this home."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(home) in " ".join([*process.cmdline(), process.environ().get("SHOPGRAPH_HOME", "")]):
                found.append(" ".join(process.cmdline())[:120])
        except psutil.Error:
            continue
    return found


def test_a_shop_from_csv_to_page_as_the_readme_says(shell: Shell) -> None:
    answer, releases = {}, ""
    for line in commands():
        if line == "shopgraph releases":
            look_at_pages(shell, answer)
        if "RELEASE" in line:
            (release,) = json.loads(shell.run("shopgraph releases --json"))
            assert release["active"]
            assert release["id"] in releases
        output = shell.run(line.replace("USER", USER).replace("RELEASE", release["id"] if "RELEASE" in line else ""))
        if "recommend" in line and "--json" in line:
            answer = json.loads(output)
        if line == "shopgraph releases":
            releases = output
        if "rollback" in line:
            shell.interrupt()
    ended = {name: child.returncode for name, child in shell.background.items()}
    assert ended == {"worker": 0, "beat": 0, "web": 0, "events": 0}
    assert started_in(shell.home) == []


def look_at_pages(shell: Shell, answer: dict[str, object]) -> None:
    """The user's page and the API say what the command said, with reasons."""
    assert answer["step"] == "personal"
    items = answer["items"]
    assert len(items) == 20
    assert all(item["reason"]["text"] for item in items)
    browser, address, key = signed_in(shell)
    names = open_pseudonymiser(load_settings(home=shell.home))
    user = f"{address}/users/{names.pseudonym(shell.environment['SHOPGRAPH_SOURCE'], USER)}"
    assert browser.get(user, timeout=30).ok
    shown = unescape(browser.get(f"{user}/recommendations", timeout=30).text)
    assert str(answer["release"]) in shown
    for item in items[:10]:
        assert item["title"] in shown
        assert item["reason"]["text"] in shown
    page = browser.get(f"{address}/products/{items[0]['id']}", timeout=30).text
    assert items[0]["title"] in page
    said = requests.get(
        f"{address}/api/v1/recommendations", params={"user": USER}, headers={"X-API-Key": key}, timeout=30
    ).json()
    assert [item["id"] for item in said["items"]] == [item["id"] for item in items]
