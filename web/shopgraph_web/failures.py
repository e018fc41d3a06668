"""Every failure as a page that says what to do next, or for the API as the one error shape."""

from __future__ import annotations

import logging

from flask import Flask, Response, jsonify, render_template, request
from flask_wtf.csrf import CSRFError
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException

from shopgraph.errors import BusyError, InputError, OverdueError, ServiceError, ShopgraphError
from shopgraph_web.backend import backend

Answer = tuple[str | Response, int]

RETRY_AFTER_SECONDS = 5

log = logging.getLogger(__name__)

PAGES = {
    400: ("This request can't be used", "alert-triangle"),
    403: ("This is not open to you", "lock"),
    404: ("There is nothing here", "search"),
    405: ("This address does not take that", "alert-triangle"),
    409: ("Something else is under way", "clock"),
    429: ("Too many tries", "clock"),
    500: ("Something went wrong on our side", "alert-triangle"),
    503: ("Neo4j is not reachable", "plug-x"),
}

HINTS = {
    403: "Ask an admin of this panel for a role that allows it.",
    404: "It may have been removed, or the address has a typing error. The search finds products by title or id.",
    429: "Wait a minute, then try again.",
    500: "It is in the log with its time. Try again; if it stays, tell whoever runs this panel.",
    503: "Start it with 'shopgraph services start', then load this page again. Nothing is lost.",
}

CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "busy",
    413: "too_large",
    422: "invalid",
    429: "too_many_requests",
    500: "internal",
    503: "unavailable",
}


def handle_failures(app: Flask) -> None:
    app.register_error_handler(CSRFError, _forged)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(ServiceError, _unreachable)
    app.register_error_handler(ShopgraphError, _known)
    app.register_error_handler(RecursionError, _too_deep)
    app.register_error_handler(Exception, _unknown)


def invalid(error: ValidationError) -> Response:
    """A request whose parameters break their model: the first fault, in one line."""
    response = jsonify(error_body(422, first_fault(error)))
    response.status_code = 422
    return response


def first_fault(error: ValidationError) -> str:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    return f"{name}: {first['msg']}" if name else first["msg"]


def error_body(status: int, message: str) -> dict[str, dict[str, str]]:
    return {"error": {"code": CODES.get(status, "error"), "message": message}}


def _http(error: HTTPException) -> Answer | Response:
    status = error.code or 500
    if error.response is not None or 300 <= status < 400:
        return error.get_response()  # type: ignore[return-value]
    return _answer(status, str(error.description or error.name))


def _forged(error: CSRFError) -> Answer:
    return _answer(400, f"{error.description} Load the page again and repeat what you did.")


def _unreachable(error: ServiceError) -> tuple[str | Response, int, dict[str, str]]:
    log.warning("%s", error)
    if not isinstance(error, OverdueError):  # it is still there, and answers others
        backend().forget()
    return *_answer(503, str(error)), {"Retry-After": str(RETRY_AFTER_SECONDS)}


def _known(error: ShopgraphError) -> Answer:
    status = 409 if isinstance(error, BusyError) else 400 if isinstance(error, InputError) else 500
    if status == 500:
        log.error("%s %s: %s", request.method, request.path, error)
    return _answer(status, str(error))


def _too_deep(error: RecursionError) -> Answer:
    log.warning("%s %s", request.method, request.path, exc_info=error)
    return _answer(400, "Its parts are nested too deeply.")


def _unknown(error: Exception) -> Answer:
    log.exception("%s %s", request.method, request.path, exc_info=error)
    return _answer(500, "An unexpected error; the log has it.")


def _answer(status: int, message: str) -> Answer:
    if request.path.startswith("/api/"):
        return jsonify(error_body(status, message)), status
    title, icon = PAGES.get(status, PAGES[500])
    page = render_template(
        "_failure.html" if "HX-Request" in request.headers else "failure.html",
        title=title,
        icon_name=icon,
        message=message,
        hint=HINTS.get(status, ""),
        status=status,
    )
    return page, status
