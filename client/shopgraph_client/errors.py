"""The one error of the client."""

from __future__ import annotations


class ApiError(Exception):
    """A request that was not answered as it should be.

    Attributes:
        code: stable, for programs: `not_found`, `too_many_requests`, ...; `unreachable` where no server answered,
            `unreadable` where what answered is no shopgraph.
        message: one line, for people.
        status: of HTTP; 0 where no server answered.
    """

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(f"{status} {code}: {message}" if status else f"{code}: {message}")
        self.code, self.message, self.status = code, message, status
