"""Gathers build/bench/*.json into BENCHMARKS.md: only what a benchmark wrote is said."""

from __future__ import annotations

import json
from pathlib import Path

from machine import OUTPUT, ROOT


def section(path: Path) -> str:
    content = json.loads(path.read_text())
    machine = content["machine"]
    lines = [
        f"## make bench-{path.stem}",
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
    return "\n".join(lines) + "\n"


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
    told = "Written by `make bench`; each section is of the machine it names, and of the commit that wrote it last."
    head = f"# Benchmarks\n\n{told}\n\n"
    (ROOT / "BENCHMARKS.md").write_text(head + "\n".join(section(path) for path in found))
    print(f"wrote {ROOT / 'BENCHMARKS.md'}")


if __name__ == "__main__":
    main()
