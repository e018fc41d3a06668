"""`shopgraph ingest` as a person runs it: a process of its own, on the real server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from shopgraph.graph.connection import Graph
from shopgraph.ingest.journey import SOURCE
from shopgraph.settings import Settings
from shopgraph.tracking import RunLog


def shopgraph(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from shopgraph.cli import main; main()", *arguments]
    environment = {**os.environ, "SHOPGRAPH_HOME": str(settings.home)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180, check=False)


def test_a_folder_is_loaded_recorded_and_its_rejects_are_kept(graph: Graph, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "products.csv").write_text("id,title,price\np1,One,1\np2,Two,cheap\n")
    (tmp_path / "behavior.csv").write_text("user_id,type,product_id,at\n42,view,p1,2024-01-01\n42,view,p9,2024-01-01\n")
    done = shopgraph(settings, "ingest", "csv", str(tmp_path), "--source", "shop", "--currency", "EUR", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["nodes"]["Product"], said["written"]["VIEWED"], said["rejects"], said["swept"]) == (1, 1, 2, False)
    assert Path(said["rejects_file"]).read_text().splitlines()[1:] == [
        "products.csv,3,price,not a number (write 1234.5),cheap",
        "behavior.csv,3,product_id,no such product in the graph or this feed,shop:p9",
    ]
    run = RunLog(graph).get(said["run"])
    assert run is not None
    assert (run.status, run.kind, run.summary["rejects"]) == ("succeeded", "ingest", 2)


def test_one_week_of_the_journey_prints_its_terms(graph: Graph, settings: Settings) -> None:
    done = shopgraph(settings, "ingest", "journey", "--weeks", "1")
    assert done.returncode == 0, done.stderr
    assert SOURCE.terms in done.stdout
    (found,) = graph.driver.execute_query("CYPHER 25 MATCH (:User)-[r:PURCHASED]->() RETURN count(r) AS lines").records
    (said,) = [line for line in done.stdout.splitlines() if "PURCHASED" in line]
    assert f"{found['lines']:,}" in said
    assert found["lines"] > 5_000


def test_what_a_person_can_mend_is_one_line_and_a_failed_run(graph: Graph, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "products.csv").write_text("id,name\np1,One\n")
    done = shopgraph(settings, "ingest", "csv", str(tmp_path), "--source", "shop", "--currency", "EUR")
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].endswith("the column 'title' is missing; the header has id, name")
    assert "Traceback" not in done.stderr
    assert RunLog(graph).recent(1)[0].status == "failed"
    for arguments in (["--source", "two words", "--currency", "EUR"], ["--source", "shop", "--currency", "euro"]):
        refused = shopgraph(settings, "ingest", "csv", str(tmp_path), *arguments)
        assert (refused.returncode, len(refused.stderr.strip().splitlines())) == (1, 1)
