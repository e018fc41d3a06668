"""What the load generator asks of a running shop, a class a kind of request; told in SERVING_LOAD, a JSON file.

The file holds `key` (an API key), `users` and `products` (ids to draw from, in the order given) and `bulk_lines`
(events in one request).
"""

from __future__ import annotations

import json
import os
import uuid
from itertools import count, cycle
from pathlib import Path

from locust import constant, task
from locust.contrib.fasthttp import FastHttpUser

ASKED = json.loads(Path(os.environ["SERVING_LOAD"]).read_text())
USERS, PRODUCTS, NUMBERS = cycle(ASKED["users"]), cycle(ASKED["products"]), count()
TIMEOUT_SECONDS = 30.0


class Client(FastHttpUser):
    """Asks again as soon as it is answered."""

    abstract = True
    wait_time = constant(0)
    network_timeout = connection_timeout = TIMEOUT_SECONDS
    default_headers = {"X-API-Key": ASKED["key"]}  # noqa: RUF012  locust reads it from the class


class Recommend(Client):
    @task
    def recommend(self) -> None:
        self.client.get(f"/api/v1/recommendations?user={next(USERS)}", name="recommend")


class Novel(Client):
    @task
    def novel(self) -> None:
        self.client.get(f"/api/v1/recommendations?exclude_owned=true&user={next(USERS)}", name="novel")


class Similar(Client):
    @task
    def similar(self) -> None:
        self.client.get(f"/api/v1/products/{next(PRODUCTS)}/similar", name="similar")


class OneEvent(Client):
    @task
    def view(self) -> None:
        self.client.post("/api/v1/events", json=_view(), name="event")


class ManyEvents(Client):
    @task
    def views(self) -> None:
        lines = "\n".join(json.dumps(_view()) for _ in range(ASKED["bulk_lines"]))
        self.client.post(
            "/api/v1/events", data=lines, headers={"Content-Type": "application/x-ndjson"}, name="events in bulk"
        )


def _view() -> dict[str, str]:
    """Of a visit of its own, so that no user's next answer changes while others are measured."""
    number = next(NUMBERS)
    return {
        "type": "view",
        "event_id": str(uuid.uuid4()),
        "session_id": f"visit {number // 20}",
        "product_id": next(PRODUCTS),
    }
