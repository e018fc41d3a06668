"""Finds the browser the tests drive: a Chromium of this system, else Playwright's own, fetched on first use."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""A browser that speaks to nobody but the page under test."""


def executable() -> str | None:
    """The browser's path, or None where there is none yet."""
    named = os.environ.get("CHROMIUM")
    found = named or next((path for name in NAMES if (path := shutil.which(name))), None)
    return found or _of_playwright()


def _of_playwright() -> str | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def main() -> None:
    if executable() is None:
        print("no Chromium on this machine: asking Playwright for one")
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)
    if executable() is None:
        raise SystemExit(
            "error: the browser tests need Chromium. Install it (Debian: apt-get install chromium) "
            "or set CHROMIUM to its path."
        )


if __name__ == "__main__":
    main()
