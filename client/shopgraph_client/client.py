"""The client: a method an address, a timeout on every request, retries where the server asks for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Literal, TypedDict, TypeVar, Unpack
from urllib.parse import quote
from uuid import uuid4

import requests
from pydantic import BaseModel, ValidationError
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from shopgraph_client.answers import (
    BatchAnswer,
    BatchList,
    ExperimentCard,
    ExperimentList,
    ExperimentReport,
    Filed,
    Health,
    ProductCard,
    Reason,
    Receipt,
    RecommendationList,
    UserList,
)
from shopgraph_client.errors import ApiError
from shopgraph_client.event import Event

Answer = TypeVar("Answer", bound=BaseModel)

RETRIED = (429, 503)
"""Statuses of requests that were not acted on."""
LONGEST_WAIT_SECONDS = 60
"""Before a retry, whatever the server asks for."""
BATCH_USERS = 100
"""Of one request."""
BULK_EVENTS = 5_000
"""Of one request: few enough to be sent again whole."""


class Narrowed(TypedDict, total=False):
    """What every question for products may say besides."""

    n: int
    """How many products, 1 to 100; 20 by default."""
    offset: int
    """The place of the first, from 0: an answer's `next_offset`."""
    exclude: Sequence[str]
    """Ids of products that are not shown."""
    category: Sequence[str]
    """Only of these categories, whole paths of any level."""
    min_price: float
    max_price: float
    """Bounds, in the source's currency."""
    scenario: str
    """The place it is for: its blends, ranker, rules and experiment."""


class ShownTo(Narrowed, total=False):
    """What a question about products may say besides: who sees the answer, for experiments."""

    user: str
    session: str


class Client:
    """Asks one server; use one a thread, and close it or use it in a `with`.

    Every method raises `ApiError`, and nothing else, where it gets no answer.

    Args:
        address: of the server, e.g. `http://127.0.0.1:8080`.
        key: an API key; only `health` needs none.
        timeout_seconds: longest wait for a connection, and for the next byte of an answer.
        retries: of a request that found no server, or that the server refused for now (429, 503); each waits as long
            as `Retry-After` says, a minute at most, or ever longer where it says nothing.
    """

    def __init__(self, address: str, key: str = "", *, timeout_seconds: float = 30.0, retries: int = 3) -> None:
        self._base = f"{address.rstrip('/')}/api/v1"
        self._timeout_seconds = timeout_seconds
        self._session = requests.Session()
        if key:
            self._session.headers["X-API-Key"] = key
        retry = Retry(
            total=retries,
            read=0,  # an answer that broke off may have been acted on
            status_forcelist=RETRIED,
            allowed_methods=None,
            backoff_factor=0.5,
            backoff_jitter=0.5,
            retry_after_max=LONGEST_WAIT_SECONDS,
            raise_on_status=False,
        )
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=retry))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self._session.close()

    def recommend(
        self,
        user: str = "",
        *,
        session: str = "",
        exclude_owned: bool = False,
        new_only: bool = False,
        diversity: float = 0.0,
        explain: Literal["path", "full"] = "path",
        **narrowed: Unpack[Narrowed],
    ) -> RecommendationList:
        """What to show a user, or a visit where nobody has signed in.

        Args:
            new_only: only products that nobody has bought yet.
        """
        who, what = {"user": user, "session": session}, {"exclude_owned": exclude_owned, "new_only": new_only}
        how = {"diversity": diversity, "explain": explain}
        return self._get("recommendations", RecommendationList, **who, **what, **how, **narrowed)

    def recommend_many(
        self,
        users: Iterable[str],
        *,
        exclude_owned: bool = False,
        new_only: bool = False,
        diversity: float = 0.0,
        explain: Literal["path", "full"] = "path",
        **narrowed: Unpack[Narrowed],
    ) -> Iterator[BatchAnswer]:
        """For each user the answer or the error, in their order; a hundred at a time are asked for as they are read."""
        what = {"exclude_owned": exclude_owned, "new_only": new_only, "diversity": diversity, "explain": explain}
        asked = {**what, **narrowed}
        for part in _parts(users, BATCH_USERS):
            body = {"users": part, **asked}
            yield from self._post("recommendations/batch", BatchList, json=body).answers

    def like(self, like: Sequence[str], unlike: Sequence[str] = (), **narrowed: Unpack[ShownTo]) -> RecommendationList:
        """More like some products, less like others."""
        body = {"like": list(like), "unlike": list(unlike), **narrowed}
        return self._post("recommendations/like", RecommendationList, json=body)

    def similar(self, product: str, **narrowed: Unpack[ShownTo]) -> RecommendationList:
        """Products like one product."""
        return self._get(f"products/{_quoted(product)}/similar", RecommendationList, **narrowed)

    def search(self, query: str, **narrowed: Unpack[ShownTo]) -> RecommendationList:
        """Products that answer a query."""
        return self._get("search", RecommendationList, q=query, **narrowed)

    def product(self, product: str) -> ProductCard:
        """A product's catalogue facts."""
        return self._get(f"products/{_quoted(product)}", ProductCard)

    def similar_users(self, user: str, n: int = 20) -> UserList:
        """Users who buy alike, by pseudonym."""
        return self._get(f"users/{_quoted(user)}/similar", UserList, n=n)

    def doubt(self, reason: Reason, text: str = "") -> Filed:
        """Call a reason wrong: people will judge the relation that it rests on."""
        return self._post("reasons/doubts", Filed, json={"path": reason.path, "text": text})

    def send(self, event: Event) -> Receipt:
        """Tell what just happened; on return it is on the server's disk."""
        return self._post("events", Receipt, data=_line(event), headers={"Content-Type": "application/json"})

    def send_all(self, events: Iterable[Event]) -> Receipt:
        """Tell many events as JSON Lines, read as they are sent, some thousands a request.

        What the server can't use is in the receipt. After an `ApiError` the requests before it stay: events with an
        `event_id` can all be sent again.
        """
        told = Receipt(accepted=0, lines=0, refused=[])
        headers = {"Content-Type": "application/x-ndjson"}
        for part in _parts(events, BULK_EVENTS):
            answer = self._post("events", Receipt, data=b"\n".join(map(_line, part)), headers=headers)
            refused = [line.model_copy(update={"line": line.line + told.lines}) for line in answer.refused]
            told = Receipt(
                accepted=told.accepted + answer.accepted,
                lines=told.lines + answer.lines,
                refused=[*told.refused, *refused],
                unlisted=told.unlisted + answer.unlisted,
            )
        return told

    def experiments(self) -> list[ExperimentCard]:
        """What is tried, running and stopped."""
        return self._get("experiments", ExperimentList).experiments

    def experiment(self, experiment: str) -> ExperimentReport:
        """What an experiment found."""
        return self._get(f"experiments/{_quoted(experiment)}", ExperimentReport)

    def health(self) -> Health:
        """Whether the server can serve."""
        return self._get("health", Health)

    def _get(self, path: str, model: type[Answer], **query: Any) -> Answer:
        return self._ask("GET", path, model, params=query)

    def _post(self, path: str, model: type[Answer], **body: Any) -> Answer:
        return self._ask("POST", path, model, **body)

    def _ask(self, method: str, path: str, model: type[Answer], **request: Any) -> Answer:
        try:
            answer = self._session.request(
                method, f"{self._base}/{path}", timeout=self._timeout_seconds, allow_redirects=False, **request
            )
        except requests.RequestException as error:
            raise ApiError("unreachable", str(error), 0) from error
        if not 200 <= answer.status_code < 300:
            raise _refusal(answer)
        try:
            return model.model_validate_json(answer.content)
        except ValidationError as error:
            raise _unreadable(answer) from error


def _refusal(answer: requests.Response) -> ApiError:
    try:
        fault = answer.json()["error"]
        return ApiError(str(fault["code"]), str(fault["message"]), answer.status_code)
    except (ValueError, KeyError, TypeError):
        return _unreadable(answer)


def _unreadable(answer: requests.Response) -> ApiError:
    return ApiError("unreadable", f"{answer.url} answers what no shopgraph does", answer.status_code)


def _line(event: Event) -> bytes:
    if event.event_id is None and event.at is None:  # a repeated request must not count it twice
        event = event.model_copy(update={"event_id": uuid4().hex})
    return event.model_dump_json(exclude_none=True).encode()


def _quoted(name: str) -> str:
    return quote(name, safe="")


def _parts(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while part := list(islice(iterator, size)):
        yield part
