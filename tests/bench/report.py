"""Gathers build/bench/*.json into BENCHMARKS.md: only what a benchmark wrote is said.

Sections of benchmarks that left nothing here were written elsewhere or earlier, as their first lines say, and stay.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from machine import OUTPUT, ROOT


def kept(report: str) -> dict[str, str]:
    """Sections of an earlier report by the command that wrote each."""
    parts = re.split(r"^## (make .+)\n", report, flags=re.MULTILINE)[1:]
    return {command: f"## {command}\n{body.rstrip()}\n" for command, body in zip(parts[::2], parts[1::2], strict=True)}


def section(path: Path) -> tuple[str, str]:
    """What a benchmark wrote, and the command that ran it."""
    content = json.loads(path.read_text())
    machine = content["machine"]
    lines = [
        f"## {content['command']}",
        "",
        (
            f"Commit {content['commit']}, {machine['processor']}, {machine['cores']} cores, "
            f"{machine['memory_gib']} GiB, {machine['system']}, Python {machine['python']}."
        ),
        "",
        "| figure | value |",
        "| --- | ---: |",
        *(f"| `{key}` | {shown(value)} |" for key, value in content["figures"].items()),
    ]
    for title, rows in content["tables"].items():
        if rows:
            lines += ["", f"**{title}**", "", *table(rows)]
    return content["command"], "\n".join(lines) + "\n"


def table(rows: list[dict[str, object]]) -> list[str]:
    names = list(dict.fromkeys(name for row in rows for name in row))
    return [
        "| " + " | ".join(names) + " |",
        "| " + " | ".join("---" for _ in names) + " |",
        *("| " + " | ".join(shown(row.get(name, "")) for name in names) + " |" for row in rows),
    ]


def shown(value: object) -> str:
    """Four significant digits, whole numbers whole."""
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    return f"{value:,.0f}" if value >= 1000 or value.is_integer() else f"{value:.4g}"


def main() -> None:
    found = sorted(OUTPUT.glob("*.json"))
    if not found:
        raise SystemExit("no benchmark has written to build/bench yet: run 'make bench'")
    report = ROOT / "BENCHMARKS.md"
    sections = kept(report.read_text() if report.exists() else "") | dict(section(path) for path in found)
    told = "Written by `make bench`; each section is of the machine it names, and of the commit that wrote it last."
    head = f"# Benchmarks\n\n{told}\n\n"
    report.write_text(head + "\n".join(sections[command] for command in sorted(sections)))
    print(f"wrote {report}")


if __name__ == "__main__":
    main()
