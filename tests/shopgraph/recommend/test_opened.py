"""A version's files are opened once, whoever asks at once."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shopgraph.recommend.opened import VERSIONS, opened_once

THREADS = 4


def test_threads_that_ask_at_once_share_what_one_of_them_opens() -> None:
    opened, together = [], threading.Barrier(THREADS)

    @opened_once
    def slowly(folder: Path) -> object:
        opened.append(folder)
        time.sleep(0.2)  # the others ask meanwhile
        return object()

    def asked(_: int) -> object:
        together.wait(10)
        return slowly(Path("a"))

    with ThreadPoolExecutor(THREADS) as threads:
        found = list(threads.map(asked, range(THREADS)))
    assert opened == [Path("a")]
    assert all(each is found[0] for each in found)


def test_the_version_before_stays_open_and_an_older_one_does_not() -> None:
    opened: list[str] = []

    @opened_once
    def named(folder: Path) -> str:
        opened.append(folder.name)
        return folder.name

    versions = [Path(f"version-{number}") for number in range(VERSIONS + 1)]
    for version in versions:
        assert named(version) == version.name
    for version in versions[1:]:
        named(version)
    assert len(opened) == len(versions)
    named(versions[0])
    assert opened[-1] == versions[0].name


def test_a_folder_that_cannot_be_opened_is_tried_again() -> None:
    tried: list[Path] = []

    @opened_once
    def broken_at_first(folder: Path) -> str:
        tried.append(folder)
        if len(tried) == 1:
            raise OSError("not yet")
        return "whole"

    with pytest.raises(OSError, match="not yet"):
        broken_at_first(Path("a"))
    assert broken_at_first(Path("a")) == "whole"
