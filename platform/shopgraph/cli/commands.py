"""Which module provides which command; modules are imported only when the command line is used."""

from __future__ import annotations

import typer

from shopgraph.cli import (
    demo,
    encode,
    evaluate,
    events,
    export,
    findings,
    ingest,
    rank,
    recommend,
    releases,
    retrain,
    rules,
    schema,
    services,
    web,
    worker,
)


def register(app: typer.Typer) -> None:
    app.add_typer(services.app, name="services")
    app.add_typer(schema.app, name="schema")
    app.add_typer(ingest.app, name="ingest")
    app.command()(ingest.sample)
    app.command()(demo.demo)
    app.command()(export.export)
    web.register(app)
    app.command()(retrain.retrain)
    app.command()(encode.encode)
    app.command()(rank.rank)
    app.command()(worker.worker)
    app.command()(worker.beat)
    app.command()(worker.queues)
    app.add_typer(events.app, name="events")
    app.add_typer(rules.app, name="rules")
    app.command()(recommend.recommend)
    app.command()(recommend.similar)
    app.command()(recommend.search)
    app.command()(evaluate.evaluate)
    app.command()(findings.missing)
    app.command()(findings.odd_purchases)
    app.command()(releases.releases)
    app.command()(releases.rollback)
