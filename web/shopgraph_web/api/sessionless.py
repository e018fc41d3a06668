"""Programs carry a key and no cookie: what looks for a session is asked for pages alone, being a tenth of an answer."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Flask, Request, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface

PREFIX = "/api/"


class PagesSessions(SecureCookieSessionInterface):
    """Sessions of pages; the API has one that can't be written to."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if request.path.startswith(PREFIX):
            return self.make_null_session(app)
        return super().open_session(app, request)


def spare_api(app: Flask) -> None:
    """Ask what comes before every request of pages alone; the API's doors ask for keys and count on their own."""
    app.session_interface = PagesSessions()
    before = app.before_request_funcs.setdefault(None, [])
    before[:] = [_of_pages(hook) for hook in before]


def _of_pages(hook: Callable[[], Any]) -> Callable[[], Any]:
    @wraps(hook)
    def asked() -> Any:
        return None if request.path.startswith(PREFIX) else hook()

    return asked
