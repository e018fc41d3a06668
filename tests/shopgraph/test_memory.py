"""Pages stay with the process while it is asked to keep them, and go back afterwards."""

from __future__ import annotations

import subprocess
import sys

import pytest

from shopgraph.memory import kept_pages

CHURN = """
import resource
from shopgraph.memory import kept_pages

def faults_of(rounds):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(rounds):
        b"x" * 80_000_000
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

with kept_pages():
    faults_of(1)
    kept = faults_of(10)
    held = resident()
print(kept, faults_of(10), held - resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator is Linux's")
def test_freed_pages_are_used_again_within_and_given_back_after() -> None:
    kept, usual, returned = map(int, subprocess.check_output([sys.executable, "-c", CHURN], text=True).split())
    pages = 80_000_000 // 4096
    assert kept < pages / 10
    assert usual > pages
    assert returned > 70_000_000


def test_what_fails_within_is_told() -> None:
    with pytest.raises(ValueError, match="lost"), kept_pages():
        raise ValueError("lost")
