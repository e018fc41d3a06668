"""What can be said of the container files without an engine: every name in them leads somewhere."""

import os
import re
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from shopgraph import settings as settings_module
from shopgraph.jobs import QUEUES
from shopgraph.services.neo4j_distribution import VERSION
from shopgraph.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
SETTINGS = {f"SHOPGRAPH_{name.upper()}" for name in Settings.model_fields}


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n", " ", (DOCKER / "Dockerfile").read_text())
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [tuple(line.split(maxsplit=1)) for line in lines]


def stages() -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for word, rest in instructions():
        if word == "FROM":
            name = rest.split(" AS ")[1]
            found[name] = []
        found[name].append((word, rest))
    return found


@pytest.fixture(scope="module")
def compose() -> dict:
    return yaml.safe_load((DOCKER / "compose.yaml").read_text())


def test_every_source_that_is_copied_is_there_and_reaches_the_build() -> None:
    ignored = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    copied = [rest.split() for word, rest in instructions() if word == "COPY" and not rest.startswith("--from")]
    sources = [source for parts in copied for source in parts[:-1]]
    assert len(sources) >= 10
    for source in sources:
        assert (ROOT / source).exists(), source
        assert f"!{source.split('/')[0]}" in ignored, f"{source} is ignored"


def test_every_stage_is_built_on_a_pinned_image_or_an_earlier_stage() -> None:
    earlier: set[str] = set()
    for name, lines in stages().items():
        base = lines[0][1].split(" AS ")[0]
        assert base in earlier or re.search(r":\d", base), f"{base} names no version"
        for _, rest in lines:
            source = re.match(r"--from=(\S+)", rest)
            assert source is None or source.group(1) in earlier
        earlier.add(name)


@pytest.mark.parametrize("stage", ["serving", "training"])
def test_what_runs_is_not_root(stage: str) -> None:
    words = dict(stages()[stage])
    assert words["USER"] == "shopgraph"
    assert list(words).index("USER") < list(words).index("CMD")


def test_every_environment_name_is_a_setting(compose: dict) -> None:
    written = (DOCKER / "Dockerfile").read_text() + (DOCKER / "compose.yaml").read_text()
    written += (DOCKER / "env.example").read_text()
    names = set(re.findall(r"\bSHOPGRAPH_[A-Z0-9_]+", written))
    assert len(names) > 8
    assert names <= SETTINGS


def test_what_compose_reads_is_in_the_example_and_the_other_way_round() -> None:
    read = set(re.findall(r"\$\{(\w+)", (DOCKER / "compose.yaml").read_text()))
    offered = set(re.findall(r"^(\w+)=", (DOCKER / "env.example").read_text(), re.MULTILINE))
    assert read == offered


def test_services_name_only_what_is_declared(compose: dict) -> None:
    services = compose["services"]
    assert set(services) == {"neo4j", "valkey", "web", "worker", "trainer", "events", "beat"}
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= set(services), name
        assert set(service.get("secrets", [])) <= set(compose["secrets"]), name
        volumes = {volume.split(":")[0] for volume in service["volumes"]}
        assert {volume for volume in volumes if not volume.startswith(".")} <= set(compose["volumes"]), name
        assert all((DOCKER / volume).exists() for volume in volumes if volume.startswith(".")), name
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"], name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        target = service.get("build", {}).get("target", "serving")
        assert target in stages(), name
        assert "password" not in str(service.get("environment", {})).lower(), name
    assert services["neo4j"]["image"] == f"neo4j:{VERSION}-community"
    served = ",".join(services[name]["command"][-1] for name in ("worker", "trainer"))
    assert tuple(served.split(",")) == QUEUES


def test_secrets_are_made_once_and_read_as_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compose: dict
) -> None:
    script = tmp_path / "make-secrets.sh"
    script.write_text((DOCKER / "make-secrets.sh").read_text())
    folder = tmp_path / "secrets"

    def make() -> dict[str, str]:
        subprocess.run(["sh", str(script)], check=True, capture_output=True)
        return {path.name: path.read_text() for path in folder.iterdir()}

    first = make()
    assert make() == first
    assert {f"secrets/{name}" for name in first} == {secret["file"] for secret in compose["secrets"].values()}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert len(first["shopgraph_neo4j_password"]) == 32
    assert first["neo4j_auth"] == f"neo4j/{first['shopgraph_neo4j_password']}"
    monkeypatch.setattr(settings_module, "MOUNTED_SECRETS", folder)
    found = load_settings()
    assert found.neo4j_password.get_secret_value() == first["shopgraph_neo4j_password"]
    assert found.broker_url == f"redis://:{first['valkey_password']}@valkey:6379/0"
    monkeypatch.setitem(os.environ, "SHOPGRAPH_BROKER_URL", "redis://mine")
    assert load_settings().broker_url == "redis://mine"


def test_the_servers_configuration_is_the_one_that_is_tried_here(neo4j_server) -> None:
    ours = dict(line.split("=", 1) for line in neo4j_server._configuration(1).splitlines())
    text = (DOCKER / "neo4j.conf").read_text()
    theirs = dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))
    apart = {key for key in theirs if ours.get(key) != theirs[key]}
    assert apart == {"server.default_listen_address", "server.bolt.listen_address"}
