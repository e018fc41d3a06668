"""Users: the list with its search, and one user with purchases, segments and recommendations."""

from __future__ import annotations

from typing import Any

from flask import abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from shopgraph.schema import SEGMENTS
from shopgraph_web.admin.gate import panel_pages
from shopgraph_web.admin.nodes import read_node
from shopgraph_web.admin.paging import ROWS, cut, page_number, window
from shopgraph_web.admin.sources import currencies, sources
from shopgraph_web.backend import backend, serving

pages = panel_pages("users", "/users")

RECOMMENDED = 20
PSEUDONYM = "u_"


@pages.get("/")
def index() -> ResponseReturnValue:
    text = request.args.get("q", "").strip()[:200]
    if text and not text.startswith(PSEUDONYM):
        known = find_by_raw_id(text)
        if known is not None:
            return redirect(url_for("users.detail", user_id=known))
    after = request.args.get("after", "")
    found: list[dict[str, Any]] = []
    if not text or text.startswith(PSEUDONYM):
        record = serving().graph.record("users_page", prefix=text, after=after, limit=ROWS + 1)
        found = list(record["users"]) if record else []
    return render_template("admin/users.html", users=found[:ROWS], more=len(found) > ROWS, text=text, after=after)


@pages.get("/<user_id>")
def detail(user_id: str) -> str:
    node = read_node("User", user_id)
    if node is None:
        abort(404, f"no user has the pseudonym {user_id!r}")
    bought = serving().graph.record("user_purchases", id=user_id, **window(page_number()))
    return render_template(
        "admin/user.html",
        node=node,
        segments={name: node.properties[name] for name in SEGMENTS if node.properties.get(name)},
        total=bought["total"] if bought else 0,
        page=cut(page_number(), bought["purchases"] if bought else []),
        currencies=currencies(),
    )


@pages.get("/<user_id>/recommendations")
def recommendations(user_id: str) -> str:
    """The fragment of recommendations, with the sources and the reason of each."""
    novel = request.args.get("novel") == "1"
    answer = serving().recommender.recommend(user_id, n=RECOMMENDED, exclude_owned=novel)
    return render_template("admin/_items.html", answer=answer, novel=novel)


def find_by_raw_id(raw_id: str) -> str | None:
    """The pseudonym of the shop's own user id, in whichever source knows it."""
    name = serving().pseudonymiser.pseudonym
    for source in dict.fromkeys([backend().settings.source, *(source["id"] for source in sources())]):
        pseudonym = name(source, raw_id)
        record = serving().graph.record("users_page", prefix=pseudonym, after="", limit=1)
        if record and record["users"]:
            return pseudonym
    return None
