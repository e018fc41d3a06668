"""The door of the panel: a blueprint whose every page asks for a sign-in, and the rule for what only admins do."""

from __future__ import annotations

from flask import Blueprint
from flask_security import auth_required, roles_accepted, roles_required

ONLY_ADMINS = roles_required("admin")
ONLY_CURATORS = roles_accepted("curator", "admin")


def panel_pages(name: str, prefix: str) -> Blueprint:
    """A blueprint of pages for people who have signed in."""
    pages = Blueprint(name, "shopgraph_web", url_prefix=prefix)
    pages.before_request(_signed_in)
    return pages


@auth_required("session")
def _signed_in() -> None:
    """Nothing more is asked of who has signed in."""
