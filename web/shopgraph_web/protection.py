"""What guards every request: forged forms, foreign scripts, guessed passwords, programs that ask too often."""

from __future__ import annotations

from flask import Flask, Response, request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_wtf.csrf import CSRFProtect

from shopgraph.errors import ServiceError
from shopgraph.settings import Settings
from shopgraph.wiring_serving import broker_url
from shopgraph_web import rate_limit

SIGN_IN_LIMIT = "10 per minute; 60 per hour"

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}

csrf = CSRFProtect()


def protect(app: Flask, settings: Settings) -> None:
    """Guard an application.

    Raises:
        ConfigurationError: the limit of API keys is none.
    """
    csrf.init_app(app)
    limiter = Limiter(
        get_remote_address,
        storage_uri=_counter_store(settings),
        storage_options={"wrap_exceptions": True},
        in_memory_fallback_enabled=True,
        strategy="fixed-window",
    )
    limiter.init_app(app)
    sign_in = app.view_functions["security.login"]
    app.view_functions["security.login"] = limiter.limit(SIGN_IN_LIMIT, methods=["POST"])(sign_in)  # type: ignore[assignment]
    if settings.api_limit:
        limit = rate_limit.RateLimit(limiter, settings.api_limit)
        app.extensions[rate_limit.NAME] = limit
        app.after_request(limit.add_headers)
    app.after_request(_add_headers)


def _counter_store(settings: Settings) -> str:
    """The broker, so that all processes count together; without one each counts for itself."""
    try:
        return rate_limit.UNLOGGED + broker_url(settings)
    except ServiceError:
        return "memory://"


def _add_headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    if request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "no-store")
    return response
