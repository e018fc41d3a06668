"""`shopgraph rules`: what merchandisers decide about answers."""

from __future__ import annotations

import getpass
import json
from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from shopgraph.recommend.rules import KINDS, Rule, add_rule, end_rule, list_rules, new_rule_id
from shopgraph.settings import as_utc, load_settings
from shopgraph.wiring_serving import open_graph

app = typer.Typer(help="Filter, boost, bury, pin and cap products in answers.", no_args_is_help=True)


@app.command()
def add(
    kind: Annotated[str, typer.Argument(help=", ".join(KINDS))],
    label: Annotated[str, typer.Argument(help="Product, Brand or Category.")],
    target: Annotated[str, typer.Argument(help="Its id; nothing in a cap on each brand or category.")] = "",
    amount: Annotated[float, typer.Option(help="Factor of a boost or bury, place of a pin, number of a cap.")] = 0.0,
    scenario: Annotated[str, typer.Option(help="The one place it is for; all by default.")] = "",
    starts: Annotated[datetime | None, typer.Option(help="From when, UTC; now by default.")] = None,
    ends: Annotated[datetime | None, typer.Option(help="Until when, UTC; until it is ended by default.")] = None,
) -> None:
    """Put a rule in force; the very next answer follows it."""
    rule = Rule(new_rule_id(), kind, label, target, amount)
    with open_graph(load_settings()) as graph:
        add_rule(graph, rule, by=getpass.getuser(), scenario=scenario, starts=as_utc(starts), ends=as_utc(ends))
    print(rule.id)


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List all rules, those in force first."""
    with open_graph(load_settings()) as graph:
        rules = list_rules(graph)
    if as_json:
        print(json.dumps(rules, default=str))
        return
    table = Table("rule", "kind", "about", "amount", "place", "from", "until", "by", "")
    for rule in rules:
        table.add_row(
            rule["id"], rule["kind"], f"{rule['label']} {rule['title']}".strip(), f"{rule['amount']:g}",
            rule["scenario"] or "all", _day(rule["starts"]), _day(rule.get("ends")), rule["made_by"],
            "in force" if rule["in_force"] else "to come" if rule["open"] else "ended",
        )  # fmt: skip
    Console().print(table)


@app.command()
def end(rule: Annotated[str, typer.Argument(help="Its id, as 'rules list' shows it.")]) -> None:
    """Take a rule out of force."""
    with open_graph(load_settings()) as graph:
        end_rule(graph, rule, by=getpass.getuser())
    print(f"{rule} is no longer in force")


def _day(moment: object) -> str:
    return "-" if moment is None else str(moment)[:16].replace("T", " ")
