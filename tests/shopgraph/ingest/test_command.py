"""`shopgraph ingest` as a person runs it: a process of its own, on the real server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from shopgraph.graph.connection import Graph
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
    assert done.returncode == 3, done.stderr
    said = json.loads(done.stdout)
    assert done.stderr == (
        "error: products.csv, row 3, price: not a number (write 1234.5); it and 1 more are kept in "
        f"{said['rejects_file']}, the rest is loaded: mend them and load again, or allow them by --max-rejects\n"
    )
    assert (said["nodes"]["Product"], said["written"]["VIEWED"], said["rejects"], said["swept"]) == (1, 1, 2, False)
    assert Path(said["rejects_file"]).read_text().splitlines()[1:] == [
        "products.csv,3,price,not a number (write 1234.5),cheap",
        "behavior.csv,3,product_id,no such product in the graph or this feed,shop:p9",
    ]
    run = RunLog(graph).get(said["run"])
    assert run is not None
    assert (run.status, run.kind, run.summary["rejects"]) == ("succeeded", "ingest", 2)
    allowed = [str(tmp_path), "--source", "shop", "--currency", "EUR", "--max-rejects", "2"]
    again = shopgraph(settings, "ingest", "csv", *allowed)
    assert (again.returncode, "error" in again.stderr) == (0, False)


def test_a_person_sees_what_was_loaded_and_the_terms_of_the_data(
    graph: Graph, settings: Settings, tmp_path: Path
) -> None:
    folder, terms = str(tmp_path / "shop"), "For trying out only."
    assert shopgraph(settings, "sample", folder).returncode == 0
    done = shopgraph(settings, "ingest", "csv", folder, "--source", "s", "--currency", "EUR", "--terms", terms)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if "PURCHASED" in line]
    assert "3,408" in line
    assert f"terms of the data: {terms}" in done.stdout
    (found,) = graph.driver.execute_query("CYPHER 25 MATCH (:User)-[r:PURCHASED]->() RETURN count(r) AS lines").records
    assert found["lines"] == 3_408


def test_a_column_that_is_not_known_is_said_and_refuses_no_row(
    graph: Graph, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "products.csv").write_text("id,title,shelf\np1,One,7\n")
    done = shopgraph(settings, "ingest", "csv", str(tmp_path), "--source", "shop", "--currency", "EUR")
    assert done.returncode == 0, done.stderr
    assert "products.csv: the column 'shelf' is not known and was ignored\n" in done.stdout
    assert "rows refused" not in done.stdout


def test_what_a_person_can_mend_is_one_line_and_a_failed_run(graph: Graph, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "products.csv").write_text("id,name\np1,One\n")
    done = shopgraph(settings, "ingest", "csv", str(tmp_path), "--source", "shop", "--currency", "EUR")
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].endswith("the column 'title' is missing; the header has id, name")
    assert "Traceback" not in done.stderr
    assert RunLog(graph).recent(1)[0].status == "failed"
    csv = ("csv", str(tmp_path))
    for arguments in (
        [*csv, "--source", "two words", "--currency", "EUR"],
        [*csv, "--source", "shop", "--currency", "euro"],
        ["journey", "--weeks", "first"],
    ):
        refused = shopgraph(settings, "ingest", *arguments)
        assert (refused.returncode, len(refused.stderr.strip().splitlines())) == (1, 1)
