"""A model's card (Mitchell et al. 2019): what it was trained from and how, how well it does and for whom; one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shopgraph.learning.dotted import dotted

if TYPE_CHECKING:
    from shopgraph.learning.trained import EpochRecord

CARD_PAGE, CURVES_PICTURE = "card.md", "curves.png"
PICTURE_INCHES, PICTURE_DPI = (8.0, 3.6), 120


@dataclass(frozen=True)
class ModelCard:
    """What the page says."""

    family: str
    snapshot_id: str
    shapes: Mapping[str, Sequence[int]]
    """Number of vectors and their dimension, by label."""
    config: Mapping[str, Any]
    metrics: Mapping[str, Any]
    """Figures of the best epoch; what is neither a number nor a word is left out."""
    best_epoch: int
    curve: Sequence[EpochRecord]
    curve_unit: str = "epoch"
    """What one record of the curve stands for."""
    segments: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Figures by segment (of users, of products)."""
    seeds: Sequence[int] = ()
    device: str = ""
    terms: Mapping[str, str] = field(default_factory=dict)
    """Licence or terms of what it was made from, by source."""


def write_card(card: ModelCard, folder: Path) -> dict[str, Path]:
    """Write the page and its picture; their paths by the names that the registry is to give them."""
    page, picture = folder / CARD_PAGE, folder / CURVES_PICTURE
    draw_curves(card.curve, _judged_by(card), card.best_epoch, card.curve_unit, picture)
    page.write_text(card_page(card), encoding="utf-8")
    return {CARD_PAGE: page, CURVES_PICTURE: picture}


def card_page(card: ModelCard) -> str:
    """The card as Markdown."""
    sections = [
        f"# Model card: {card.family}",
        _table(("fact", "value"), _facts(card)),
        "## Figures",
        _table(
            ("figure", "value"),
            [(name, _figure(found)) for name, found in card.metrics.items() if isinstance(found, Real | str)],
        ),
    ]
    if card.segments:
        sections += ["## Figures by segment", _by_segment(card.segments)]
    sections += [
        "## Learning curves",
        f"![Training loss and validation figure by {card.curve_unit}]({CURVES_PICTURE})",
        "## Configuration",
        _table(("setting", "value"), list(dotted(card.config).items())),
    ]
    if card.terms:
        sections += ["## Licences and terms", _table(("source", "terms"), list(card.terms.items()))]
    return "\n\n".join(sections) + "\n"


def draw_curves(curve: Sequence[EpochRecord], metric: str | None, best_epoch: int, unit: str, path: Path) -> None:
    """The training loss, and beside it the validation figure that chose the best epoch, as a PNG.

    Args:
        metric: drawn where the records hold it.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    # a Figure with a canvas of its own: pyplot would keep every figure of a long worker process
    figure = Figure(figsize=PICTURE_INCHES, dpi=PICTURE_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    judged = [(record.epoch, record.metrics[metric]) for record in curve if metric and metric in record.metrics]
    shown = [("training loss", [(record.epoch, record.loss) for record in curve])]
    shown += [(metric, judged)] if metric and judged else []
    for number, (name, points) in enumerate(shown, 1):
        axes = figure.add_subplot(1, len(shown), number)
        axes.plot(*zip(*points, strict=True) if points else ([], []), marker="o", markersize=3, linewidth=1.5)
        axes.axvline(best_epoch, color="0.6", linestyle="--", linewidth=1, label=f"best: {best_epoch}")
        axes.set(title=name, xlabel=unit)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.savefig(path, format="png")


def _facts(card: ModelCard) -> list[tuple[str, object]]:
    facts: list[tuple[str, object]] = [
        ("snapshot", f"`{card.snapshot_id}`"),
        *((f"vectors of {label}", f"{rows:,} of dimension {width}") for label, (rows, width) in card.shapes.items()),
        (f"best {card.curve_unit}", f"{card.best_epoch} of {len(card.curve)}"),
        ("training time", f"{sum(record.seconds for record in card.curve):,.1f} s"),
    ]
    facts += [("device", card.device)] if card.device else []
    facts += [("seeds" if len(card.seeds) > 1 else "seed", ", ".join(map(str, card.seeds)))] if card.seeds else []
    return facts


def _by_segment(segments: Mapping[str, Mapping[str, float]]) -> str:
    names = list(dict.fromkeys(name for figures in segments.values() for name in figures))
    rows = [
        (segment, *(_figure(figures[name]) if name in figures else "" for name in names))
        for segment, figures in segments.items()
    ]
    return _table(("segment", *names), rows)


def _judged_by(card: ModelCard) -> str | None:
    loop = card.config.get("loop")
    return loop.get("metric") if isinstance(loop, Mapping) else None


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _figure(value: Any) -> str:
    return f"{float(value):.5g}" if isinstance(value, Real) and not isinstance(value, int) else str(value)
