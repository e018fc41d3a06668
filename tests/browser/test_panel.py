import re
import urllib.error
import urllib.request

import pytest
from playwright.sync_api import Page, expect

from shopgraph.graph.connection import Graph
from shopgraph.sample import products
from shopgraph.tracking import RunLog

PRODUCT = products()[0]
"""A product of the first taste."""


def test_the_dashboard_draws_the_weeks_of_the_shop(page: Page, shop: Graph) -> None:
    counts = shop.record("graph_counts")
    expect(page.locator("[data-count=Product]")).to_have_text(f"{counts['nodes']['Product']:,}")
    expect(page.locator("[data-drawn]")).to_have_attribute("data-drawn", re.compile(r"^2[5-7]$"))
    assert page.locator("[data-chart] svg path").count() > 20


def test_a_product_is_found_opened_and_has_similar_ones_with_reasons(page: Page) -> None:
    page.get_by_role("link", name="Products").click()
    page.get_by_label("Search products").fill(PRODUCT["title"].split(":")[0])
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name=PRODUCT["title"], exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(PRODUCT["title"])
    similar = page.locator("#similar .list-group-item")
    expect(similar.first).to_be_visible()
    expect(similar.first.locator(".reason")).not_to_be_empty()
    title = similar.first.get_by_role("link").inner_text()
    similar.first.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(title)


def test_a_user_has_recommendations_and_can_be_asked_for_what_is_new_to_them(page: Page) -> None:
    page.get_by_role("link", name="Users").click()
    page.get_by_label("Search users").fill("user-001")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("^u_[a-z2-7]{26}$"))
    expect(page.locator("#recommended .list-group-item")).to_have_count(20)
    bought = set(page.locator("#purchases a.list-group-item").evaluate_all("links => links.map(a => a.pathname)"))
    assert bought & _recommended(page), "a shop with repeat purchases recommends some of them again"
    page.get_by_role("button", name="Only new to them").click()
    expect(page.locator("#recommended [data-shown=novel]")).to_be_visible()
    assert not bought & _recommended(page)


def _recommended(page: Page) -> set[str]:
    return set(page.locator("#recommended a").evaluate_all("links => links.map(a => a.pathname)"))


def test_the_neighbourhood_grows_at_a_click_and_leads_to_a_page(page: Page) -> None:
    page.goto(f"/products/sample:{PRODUCT['id']}")
    page.get_by_role("link", name="Neighbourhood").last.click()
    drawing = page.locator("#drawing")
    expect(drawing).to_have_attribute("data-nodes", re.compile(r"\d+"))
    before = int(drawing.get_attribute("data-nodes"))
    assert before > 3
    point = page.evaluate(
        """() => { const graph = window.shopgraphDrawing
                   const node = graph.nodes('[label="Category"]')[0]
                   const at = node.renderedPosition(), box = graph.container().getBoundingClientRect()
                   return {x: box.x + at.x, y: box.y + at.y} }"""
    )
    page.mouse.click(point["x"], point["y"])
    expect(drawing).not_to_have_attribute("data-nodes", str(before))
    assert int(drawing.get_attribute("data-nodes")) > before
    page.get_by_role("link", name="Open its page").click()
    expect(page).to_have_url(re.compile("/nodes/Category"))


def test_a_retraining_is_started_and_its_progress_arrives_without_a_reload(page: Page, shop: Graph) -> None:
    page.get_by_role("link", name="Jobs", exact=True).click()
    page.get_by_role("button", name="Retrain").click()
    page.wait_for_url(re.compile("/jobs/retrain-"))
    expect(page.locator("#run")).to_contain_text("It waits for a worker")
    run_id = page.url.rpartition("/")[2]
    runs = RunLog(shop)
    runs.begin("retrain", run_id=run_id)
    runs.progress(run_id)("train_graph", 3, 12, "loss 0.41")
    expect(page.locator("#run")).to_contain_text("3 of 12")
    runs.finish(run_id, "failed", error="stopped by the test")
    expect(page.locator("#run")).to_contain_text("stopped by the test")
    expect(page.locator("#run[hx-get]")).to_have_count(0)


def test_every_page_fits_a_telephone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    product = f"/products/sample:{PRODUCT['id']}"
    shown = (
        "/",
        "/products/",
        product,
        "/users/",
        "/events/",
        "/rules/",
        "/experiments/",
        "/doubts/",
        "/jobs/",
        "/releases/",
    )
    for address in (*shown, "/experiments/", "/people/", "/keys/"):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, address


def test_the_key_told_at_the_first_start_opens_the_api(panel: object) -> None:
    address = f"{panel.address}/api/v1/recommendations?user=user-001&n=5"
    with urllib.request.urlopen(urllib.request.Request(address, headers={"X-API-Key": panel.key})) as answer:  # noqa: S310
        assert answer.status == 200
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(address)  # noqa: S310
