"""How often an API key may ask, counted in the broker over all processes."""

from __future__ import annotations

import time
from contextlib import suppress

from flask import Response, current_app, g
from flask_limiter import Limiter
from limits import parse_many
from limits.errors import StorageError
from limits.storage import RedisStorage

from shopgraph.errors import ConfigurationError
from shopgraph_web.keys import Caller

NAME = "shopgraph_rate_limit"
UNLOGGED = "unlogged+"
"""Before a broker's address: counters there are kept as `UnloggedCounters`."""


class UnloggedCounters(RedisStorage):
    """Counters in a Redis or Valkey that are written to no log and to no replica.

    A broker that keeps events flushes its log to disk before it answers a write, which costs a request more than all
    else that is asked of the broker; a counter that is lost with the server loses a minute.
    """

    STORAGE_SCHEME = [f"{UNLOGGED}{scheme}" for scheme in RedisStorage.STORAGE_SCHEME]  # noqa: RUF012  read by a metaclass
    SCRIPT_INCR_EXPIRE = f"redis.set_repl(redis.REPL_NONE)\n{RedisStorage.SCRIPT_INCR_EXPIRE.decode()}".encode()

    def __init__(self, uri: str, **options: float | str | bool) -> None:
        super().__init__(uri.removeprefix(UNLOGGED), **options)  # type: ignore[arg-type]


class RateLimit:
    """Counts requests by key.

    Args:
        text: e.g. "6000 per minute", or several parted by ";".

    Raises:
        ConfigurationError: the text is no limit, or one that lets nothing through.
    """

    def __init__(self, limiter: Limiter, text: str) -> None:
        _require(text)
        self._limiter = limiter
        limit = limiter.shared_limit(
            text,
            scope="api",
            key_func=lambda: str(g.api_key),
            cost=lambda: int(g.cost),
            error_message=f"this API key may ask {text}: wait as many seconds as Retry-After says",
        )
        self._hit = limit(_passed)

    def count(self, key: Caller) -> None:
        """Count a request of a key.

        Raises:
            TooManyRequests: the key has asked as often as it may.
        """
        g.api_key = key.prefix
        self.count_further(1)

    def count_further(self, cost: int) -> None:
        """Count what a request that was counted costs besides; see `count`."""
        g.cost = cost
        self._hit()

    def add_headers(self, response: Response) -> Response:
        """Say what is left, and after a refusal in how many seconds there is more."""
        limit = self._limiter.current_limit
        if "api_key" not in g or limit is None:
            return response
        with suppress(StorageError):  # a broker that went away since it counted: the answer stands without them
            left, reset_at = limit.remaining, limit.reset_at
            response.headers["X-RateLimit-Limit"] = str(limit.limit.amount)
            response.headers["X-RateLimit-Remaining"] = str(left)
            response.headers["X-RateLimit-Reset"] = str(reset_at)
            if response.status_code == 429:
                response.headers["Retry-After"] = str(max(1, reset_at - int(time.time())))
        return response


def count(key: Caller) -> None:
    """Count for the application that handles this request, where it has a limit; see `RateLimit.count`."""
    limit: RateLimit | None = current_app.extensions.get(NAME)
    if limit is not None:
        limit.count(key)


def count_further(cost: int) -> None:
    """Count what the request of a key that was counted costs besides."""
    limit: RateLimit | None = current_app.extensions.get(NAME)
    if limit is not None and cost > 0:
        limit.count_further(cost)


def _require(text: str) -> None:
    try:
        limits = parse_many(text)
    except ValueError as error:
        raise ConfigurationError(
            f"SHOPGRAPH_API_LIMIT: {error}; write it like '6000 per minute', or leave it empty for none"
        ) from None
    if any(limit.amount < 1 for limit in limits):
        raise ConfigurationError(f"SHOPGRAPH_API_LIMIT: {text!r} lets no request through; leave it empty for no limit")


def _passed() -> None:
    """What a limit lets through."""
