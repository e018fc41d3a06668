"""BENCHMARKS.md: what ran is written anew, and what did not run here stays under the commit that it names."""

from __future__ import annotations

from pathlib import Path

import machine
import pytest
import report


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for module in (machine, report):
        monkeypatch.setattr(module, "OUTPUT", tmp_path / "build")
    monkeypatch.setattr(report, "ROOT", tmp_path)
    return tmp_path


def test_a_section_is_replaced_by_its_own_command_alone(root: Path) -> None:
    (root / "BENCHMARKS.md").write_text(
        "# Benchmarks\n\ntold\n\n## make bench-text\n\nold text\n\n## make bench-demo\n\nCommit abc, elsewhere.\n"
    )
    machine.write("text", {"search": 0.12345, "count": 1234.0}, {"rows": [{"model": "ours", "ndcg": 0.5}], "none": []})
    machine.write("accuracy-part", {"cold": 0.03}, {}, "make bench-accuracy BENCH='--only cold'")
    report.main()
    first = (root / "BENCHMARKS.md").read_text()
    titles = [line for line in first.splitlines() if line.startswith("## ")]
    assert titles == ["## make bench-accuracy BENCH='--only cold'", "## make bench-demo", "## make bench-text"]
    assert "old text" not in first
    assert "## make bench-demo\n\nCommit abc, elsewhere.\n\n## make bench-text\n" in first
    assert "| `search` | 0.1235 |" in first
    assert "| `count` | 1,234 |" in first
    assert "**rows**\n\n| model | ndcg |\n| --- | --- |\n| ours | 0.5 |" in first
    assert "none" not in first
    report.main()
    assert (root / "BENCHMARKS.md").read_text() == first


def test_nothing_that_ran_is_an_error(root: Path) -> None:
    with pytest.raises(SystemExit, match="no benchmark has written"):
        report.main()
    assert not (root / "BENCHMARKS.md").exists()
