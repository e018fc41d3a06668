"""Events: what each type means for the next answers, what waits, and what could not be written."""

from __future__ import annotations

from datetime import timedelta

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from shopgraph.errors import ServiceError
from shopgraph.events.stream import Backlog, RefusedEvent
from shopgraph.schema import EVENTS
from shopgraph_web.admin.gate import ONLY_ADMINS, panel_pages
from shopgraph_web.backend import backend

pages = panel_pages("events", "/events")

SHOWN = 50
HOUR = timedelta(hours=1)


@pages.get("/")
def index() -> str:
    """The meaning of events is told even where the broker does not answer."""
    backlog, refused, lost, trouble = None, list[RefusedEvent](), 0, ""
    try:
        stream = backend().intake().stream
        backlog, refused, lost = stream.backlog(), stream.refused(SHOWN), stream.shown.lost()
    except ServiceError as error:
        backend().forget()
        trouble = str(error)
    return _page(backlog, refused, lost, trouble)


@pages.post("/retry")
@ONLY_ADMINS
def retry() -> ResponseReturnValue:
    try:
        flash(f"{backend().intake().stream.retry():,} events are tried again.", "success")
    except ServiceError as error:
        backend().forget()
        flash(str(error), "danger")
    return redirect(url_for("events.index"))


def _page(backlog: Backlog | None, refused: list[RefusedEvent], lost: int, trouble: str) -> str:
    return render_template(
        "admin/events.html",
        backlog=backlog,
        refused=refused,
        lost=lost,
        trouble=trouble,
        types=EVENTS.values(),
        hour=HOUR,
        never=float("-inf"),
    )
