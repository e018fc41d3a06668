"""Releases: which versions serve, since when, and what served before."""

from __future__ import annotations

from flask import render_template

from shopgraph.publish import releases
from shopgraph_web.admin.gate import panel_pages
from shopgraph_web.backend import serving

pages = panel_pages("releases", "/releases")


@pages.get("/")
def index() -> str:
    return render_template("admin/releases.html", releases=releases(serving().graph))
