"""API keys: random, shown once, kept as a hash, let do what their scopes say, refused once revoked."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from threading import Lock

from cachetools import TTLCache
from sqlalchemy import Engine, select

from shopgraph.errors import InputError
from shopgraph.settings import utc_now
from shopgraph_web.accounts import SCOPES, ApiKey, KeyScope, User, db

PREFIX = "sg_"
SHOWN_CHARACTERS = 9
"""How much of a key stays readable in lists, so that its owner finds it again."""
REMEMBERED_SECONDS = 1.0
"""Another process refuses a revoked key so much later: looking it up took as long as reading an answer's list."""

_callers: TTLCache[tuple[Engine, str], Caller] = TTLCache(maxsize=1_000, ttl=REMEMBERED_SECONDS)
_lock = Lock()


def create_key(title: str, made_by: User | None = None, scopes: Iterable[str] = tuple(SCOPES)) -> str:
    """Make a key; its text is returned once and can't be found again.

    A key has 256 random bits: a plain SHA-256 is enough to keep it, no slow password hash is due.

    Args:
        scopes: what it may do, of `SCOPES`.

    Raises:
        InputError: no title, no scope, or an unknown one.
    """
    title = title.strip()[:80]
    if not title:
        raise InputError("a key needs a title that says who uses it")
    granted = [KeyScope(scope=scope) for scope in _known(scopes)]
    text = PREFIX + secrets.token_urlsafe(32)
    key = ApiKey(title=title, prefix=text[:SHOWN_CHARACTERS], hash=_hash(text), made_by=made_by, granted=granted)
    db.session.add(key)
    db.session.commit()
    return text


@dataclass(frozen=True)
class Caller:
    """Whom a key in force lets in."""

    title: str
    prefix: str
    scopes: Sequence[str]


def find_caller(text: str) -> Caller | None:
    """Whom a key lets in; a process believes what it read of a key for `REMEMBERED_SECONDS`."""
    asked = (db.engine, _hash(text))
    with _lock:
        known = _callers.get(asked)
    if known is None:
        found = select(ApiKey).where(ApiKey.hash == asked[1], ApiKey.revoked_at.is_(None))
        key = db.session.scalars(found).unique().one_or_none()
        if key is None:
            return None
        known = Caller(key.title, key.prefix, key.scopes)
        with _lock:
            _callers[asked] = known
    return known


def list_keys() -> list[ApiKey]:
    """All keys, newest first."""
    return list(db.session.scalars(select(ApiKey).order_by(ApiKey.id.desc())).unique())


def revoke_key(prefix: str) -> ApiKey:
    """Refuse a key from now on; one revoked already keeps its first moment.

    Raises:
        InputError: no key begins so.
    """
    key = db.session.scalars(select(ApiKey).where(ApiKey.prefix == prefix)).unique().one_or_none()
    if key is None:
        raise InputError(f"no key begins with {prefix!r}: 'shopgraph keys list' shows how they begin")
    key.revoked_at = key.revoked_at or utc_now()
    db.session.commit()
    with _lock:
        _callers.clear()
    return key


def _known(scopes: Iterable[str]) -> list[str]:
    asked = list(dict.fromkeys(scopes))
    unknown = next((scope for scope in asked if scope not in SCOPES), None)
    if unknown is not None or not asked:
        said = f"{unknown!r} is not a scope" if asked else "a key needs a scope"
        raise InputError(f"{said}: choose from {', '.join(SCOPES)}")
    return asked


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
