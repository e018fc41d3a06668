"""Builds the Flask application: accounts, protection, failures, the panel's pages, the API."""

from __future__ import annotations

import secrets
from datetime import timedelta

from flask import Response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_openapi3 import Info, OpenAPI
from flask_openapi3.types import SecuritySchemesDict
from werkzeug.middleware.proxy_fix import ProxyFix

from shopgraph.jobs import Jobs
from shopgraph.services.local_process import secret
from shopgraph.settings import Settings
from shopgraph.wiring_serving import Serving
from shopgraph_web import accounts, admin, api, formatting
from shopgraph_web.api.sessionless import spare_api
from shopgraph_web.backend import Backend
from shopgraph_web.failures import handle_failures, invalid
from shopgraph_web.protection import protect

REMEMBERED = timedelta(days=14)
API_INFO = Info(
    title="shopgraph",
    version="1",
    description="Recommendations, similar products and users, search, products and events of one shop.",
)
API_KEY_SCHEME: SecuritySchemesDict = {"api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}


def create_app(settings: Settings, serving: Serving | None = None, jobs: Jobs | None = None) -> OpenAPI:
    """The panel and the API as one WSGI application.

    Args:
        serving: an open one to use; by default each process opens its own at its first request.
        jobs: likewise.
    """
    app = OpenAPI(
        "shopgraph_web",
        info=API_INFO,
        security_schemes=API_KEY_SCHEME,
        validation_error_callback=invalid,
        doc_ui=False,
    )
    app.config.from_mapping(_configuration(settings))
    app.extensions["shopgraph"] = Backend(settings, serving, jobs)
    if settings.web_https:
        app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    accounts.set_up(app, settings)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # what adds most to a score comes first
    app.extensions["security"].unauthn_handler(_ask_to_sign_in)
    protect(app, settings)
    handle_failures(app)
    formatting.register(app)
    admin.register(app)
    api.register(app)
    spare_api(app)
    return app


def _configuration(settings: Settings) -> dict[str, object]:
    return {
        "SECRET_KEY": secret(settings.secrets / "web.secret_key", lambda: secrets.token_urlsafe(48)),
        "SECURITY_PASSWORD_SALT": secret(settings.secrets / "web.password_salt", lambda: secrets.token_urlsafe(24)),
        "SECURITY_API_ENABLED_METHODS": ["session"],
        "SECURITY_CHANGEABLE": True,
        "SECURITY_SEND_PASSWORD_CHANGE_EMAIL": False,
        "SECURITY_EMAIL_VALIDATOR_ARGS": {"check_deliverability": False},
        "SECURITY_PASSWORD_LENGTH_MIN": accounts.PASSWORD_CHARACTERS_MIN,
        "SECURITY_RETURN_GENERIC_RESPONSES": True,
        "SECURITY_POST_CHANGE_VIEW": "/",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": settings.web_https,
        "REMEMBER_COOKIE_DURATION": REMEMBERED,
        "REMEMBER_COOKIE_HTTPONLY": True,
        "REMEMBER_COOKIE_SAMESITE": "Lax",
        "REMEMBER_COOKIE_SECURE": settings.web_https,
        "WTF_CSRF_TIME_LIMIT": 12 * 3600,
        "MAX_CONTENT_LENGTH": 2**20,
        "SEND_FILE_MAX_AGE_DEFAULT": 3600,
    }


def _ask_to_sign_in(mechanisms: list[str], headers: dict[str, str] | None = None) -> ResponseReturnValue:
    if "HX-Request" in request.headers:
        return Response(status=401, headers={"HX-Refresh": "true"})
    return redirect(url_for("security.login", next=request.full_path.rstrip("?")))
