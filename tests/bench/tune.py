"""`make tune-accuracy`: configurations of peers, encoders and the ranker, searched on weeks 45 to 48 alone.

Every model has the same budget in each of its settings. Finished trials are kept, so that an interrupted run is gone on
with. `after` is the best of many looks at the same four weeks and so flatters; the test weeks tell what it is worth.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from machine import OUTPUT
from objective import ENCODER_SETTING, WINDOW, ValidationYear, objective_of
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from search_space import defaults_of, merged, nested, space_of, values_in
from shop_year import prepare
from study import Budget, Objective, Study, Tuned

from shopgraph.errors import ShopgraphError

FOLDER = OUTPUT / "accuracy"
CHOSEN_FILE = Path(__file__).with_name("chosen.json")
FUSED = "fused"


@dataclass(frozen=True)
class Job:
    """A model in a setting, and the keys of chosen.json that lead to its configuration."""

    kind: str
    model: str
    setting: str
    keys: tuple[str, ...]

    def options(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """The whole configuration: what is chosen, and defaults beside it."""
        found: Any = chosen
        for key in self.keys:
            found = found[key]
        return merged(defaults_of(self.kind, self.model), found)


def main(arguments: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--only", nargs="+", metavar="NAME", help="peers, encoders, or fused")
    options.add_argument("--seconds", type=float, default=300.0, help="of trials, for a model in a setting [300]")
    options.add_argument("--trials", type=int, default=200, help="at most, for a model in a setting [200]")
    options.add_argument("--write", action="store_true", help="put what does better into chosen.json")
    options.add_argument("--json", action="store_true", help="print the result as JSON")
    asked = options.parse_args(arguments)
    if asked.seconds <= 0 or asked.trials < 1:
        options.error("--seconds must be above 0 and --trials at least 1")
    chosen = json.loads(CHOSEN_FILE.read_text())
    jobs = list(jobs_of(chosen))
    names = {job.model for job in jobs}
    if unknown := sorted(set(asked.only or ()) - names):
        options.error(f"no model is called {', '.join(unknown)}; there are {', '.join(sorted(names))}")
    jobs = [job for job in jobs if asked.only is None or job.model in asked.only]
    try:
        prepare(FOLDER / "year", (WINDOW,))
        found = tune(FOLDER / "year", FOLDER / "tuning", chosen, jobs, Budget(asked.seconds, asked.trials))
    except KeyboardInterrupt:
        raise SystemExit("interrupted; finished trials are kept, the same command goes on with them") from None
    except ShopgraphError as error:
        raise SystemExit(f"error: {error}") from None
    if asked.write:
        write_back(CHOSEN_FILE, dict(zip(jobs, found, strict=True)))
    print(json.dumps([asdict(each) for each in found], indent=1)) if asked.json else show(found)


def jobs_of(chosen: Mapping[str, Any]) -> Iterator[Job]:
    for name, settings in chosen["peers"].items():
        yield from (Job("peer", name, setting, ("peers", name, setting)) for setting in settings)
    yield from (Job("encoder", name, ENCODER_SETTING, ("encoders", name)) for name in chosen["encoders"])
    yield from (Job(FUSED, FUSED, setting, ("ranker", setting)) for setting in chosen["ranker"])


def tune(year: Path, journals: Path, chosen: Mapping[str, Any], jobs: Sequence[Job], budget: Budget) -> list[Tuned]:
    """Each job's study, in their order.

    Args:
        year: what `prepare` left; its test weeks are not read.
        chosen: what chosen.json holds.

    Raises:
        ConfigurationError: a committed value lies outside what is searched.
        InputError: nobody is judged in a setting.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    weeks = ValidationYear(year)
    studies = [study_of(job, journals, chosen, weeks) for job in jobs]
    judges = [objective_of(job.kind, job.model, job.setting, weeks) for job in jobs]
    found = []
    with progress() as bars:
        for job, study, judge in zip(jobs, studies, judges, strict=True):
            bar = bars.add_task(f"{job.model} {job.setting}", total=budget.seconds, said="")
            objective = with_values(job.options(chosen), judge)
            found.append(study.run(objective, budget, partial(tell, bars, bar)))
    return found


def study_of(job: Job, journals: Path, chosen: Mapping[str, Any], weeks: ValidationYear) -> Study:
    """A study is of the weeks learned from and of everything in the configuration that is not searched."""
    space, options = space_of(job.kind, job.model), job.options(chosen)
    committed = values_in(options, space, ".".join(job.keys))
    unsearched = merged(options, nested(dict.fromkeys(space)))
    identity = [weeks.year.learned.id, job.keys, unsearched]
    if job.kind == FUSED:
        identity.append([[name, epochs, chosen["encoders"][name]] for name, epochs in chosen["fused_encoders"].items()])
    return Study(journals, job.model, job.setting, space, committed, identity)


def with_values(options: Mapping[str, Any], judge: Callable[[dict[str, Any]], float]) -> Objective:
    return lambda values: judge(merged(options, nested(values)))


def write_back(path: Path, found: Mapping[Job, Tuned]) -> None:
    """Put what does better in its place; everything else stays as it is, in its order.

    The file is read anew: a long search must not undo what was written into it meanwhile.
    """
    chosen = json.loads(path.read_text())
    for job, tuned in found.items():
        if tuned.values is not None:
            place: Any = chosen
            for key in job.keys[:-1]:
                place = place[key]
            place[job.keys[-1]] = merged(place[job.keys[-1]], nested(tuned.values))
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(chosen, indent=1) + "\n")
    draft.rename(path)


def progress() -> Progress:
    columns = TextColumn("{task.description:28}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[said]}")
    return Progress(*columns, console=Console(stderr=True))


def tell(bars: Progress, bar: Any, study: Study) -> None:
    found = study.tuned()
    said = f"{found.trials} trials, {figure(found.before)} to {figure(found.after)}"
    bars.update(bar, completed=found.seconds, said=said)
    if not bars.console.is_terminal:  # bars are drawn at the end alone there, and a search takes hours
        bars.console.print(f"{study.model} {study.setting}: {said}", soft_wrap=True)


def show(found: Sequence[Tuned]) -> None:
    table = Table(title="NDCG@20, weeks 45-48")
    for head in ("model", "setting", "trials", "failed", "before", "after", "seconds"):
        table.add_column(head, justify="left" if head in ("model", "setting") else "right")
    for each in found:
        counts = str(each.trials), str(len(each.failed))
        table.add_row(each.model, each.setting, *counts, figure(each.before), figure(each.after), f"{each.seconds:.0f}")
    console = Console(width=120)
    console.print(table)
    for each in found:
        if each.values is not None:
            console.print(f"{each.model} {each.setting}: {json.dumps(each.values)}", soft_wrap=True)
        for reason in dict.fromkeys(each.failed):
            console.print(f"{each.model} {each.setting} failed: {reason}", soft_wrap=True)


def figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


if __name__ == "__main__":
    main()
