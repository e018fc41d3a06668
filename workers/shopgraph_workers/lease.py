"""One retraining at a time: a lease in the broker with a heartbeat, and a fencing number that only ever grows.

A run holds the lease through all its steps. While a step works, its process renews the lease by a token of its own;
between two steps the lease is reserved for the run, without a token, so that the next step's process may take it up.
A process that was killed renews no more: its lease lapses, and the run goes on elsewhere under a higher number.
"""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass
from types import TracebackType

from redis import Redis
from redis.exceptions import RedisError

from shopgraph.errors import BusyError
from shopgraph.jobs import LEASE_KEY

RESERVED_SECONDS = 600.0
"""How long a run keeps its place while its next step waits in a queue."""

_ACQUIRE = """
local run, token = redis.call('HGET', KEYS[1], 'run'), redis.call('HGET', KEYS[1], 'token')
if run and (run ~= ARGV[1] or (token ~= '' and token ~= ARGV[2])) then
  return {0, run}
end
local fence = redis.call('INCR', KEYS[2])
redis.call('HSET', KEYS[1], 'run', ARGV[1], 'token', ARGV[2], 'fence', fence)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {fence, ARGV[1]}
"""

_IF_MINE = """
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then
  return 0
end
if ARGV[2] == 'release' then
  redis.call('DEL', KEYS[1])
elseif ARGV[2] == 'reserve' then
  redis.call('HSET', KEYS[1], 'token', '')
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
else
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return 1
"""


class LeaseLostError(BusyError):
    """The lease lapsed, and another process may have taken the run over: whoever sees this must stop writing."""


class SameRunError(BusyError):
    """Another live process works on the same run: its task was delivered twice."""


@dataclass(frozen=True)
class LeaseTerms:
    """Where the lease is kept and how soon a silent holder loses it."""

    client: Redis
    seconds: float = 30.0
    key: str = LEASE_KEY

    def holder(self) -> str | None:
        found = self.client.hget(self.key, "run")
        return str(found) if found else None


class Lease:
    """Held by one process for one step of one run; a context manager that renews itself.

    Args:
        terms: shared by all processes.
        run_id: for which the lease is taken.

    Raises:
        SameRunError: on entering, while another live process holds it for this run.
        BusyError: on entering, while another run holds it.
    """

    def __init__(self, terms: LeaseTerms, run_id: str) -> None:
        self._terms = terms
        self._run_id = run_id
        self._token = secrets.token_hex(8)
        self._ended = threading.Event()
        self._renewed_at = 0.0
        self._taken = False
        self._acquire = terms.client.register_script(_ACQUIRE)
        self._if_mine = terms.client.register_script(_IF_MINE)
        self._then, self._heartbeat = "reserve", threading.Thread(target=self._renew, daemon=True)
        self.fence = 0

    def __enter__(self) -> Lease:
        keys = [self._terms.key, f"{self._terms.key}:fence"]
        fence, holder = self._acquire(keys=keys, args=[self._run_id, self._token, self._milliseconds()])
        if not fence and holder == self._run_id:
            raise SameRunError(f"run {self._run_id} is being worked on by another process")
        if not fence:
            raise BusyError(f"run {holder} is retraining: wait until it ends, then start another")
        self.fence, self._renewed_at = int(fence), time.monotonic()
        self._heartbeat.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._heartbeat.join()
        milliseconds = 1 if self._then == "release" else int(RESERVED_SECONDS * 1000)
        self._if_mine(keys=[self._terms.key], args=[self._token, self._then, milliseconds])

    def release_at_end(self) -> None:
        """Free the lease at the end of this step instead of keeping it for the run's next one."""
        self._then = "release"

    def check(self) -> None:
        """Stop the caller where the lease is no longer surely held.

        Raises:
            LeaseLostError: another process took the lease, or the broker was silent for as long as it lasts.
        """
        if self._taken or time.monotonic() - self._renewed_at > self._terms.seconds:
            raise LeaseLostError(f"run {self._run_id} lost its lease: another process may have taken it over")

    def _renew(self) -> None:
        while not self._ended.wait(self._terms.seconds / 4):
            started = time.monotonic()
            try:
                mine = self._if_mine(keys=[self._terms.key], args=[self._token, "renew", self._milliseconds()])
            except RedisError:
                continue
            if not mine:
                self._taken = True
                return
            self._renewed_at = started

    def _milliseconds(self) -> int:
        return int(self._terms.seconds * 1000)
