"""Keyed pseudonyms: the graph never holds a shop's raw user id, and without the key none can be derived."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from pathlib import Path

from shopgraph.errors import ConfigurationError
from shopgraph.graph.connection import Graph
from shopgraph.services.local_process import secret
from shopgraph.settings import Settings

KEY_BYTES = 32
PREFIX = "u_"
LENGTH_CHARACTERS = 26
"""Base32 characters after the prefix: 130 bits, so that two users never share a pseudonym by chance."""

_PSEUDONYM = re.compile(rf"{PREFIX}[a-z2-7]{{{LENGTH_CHARACTERS}}}")


class Pseudonymiser:
    """Names users by HMAC-SHA256 (RFC 2104) of source and raw id.

    Args:
        key: 32 random bytes; the same key gives the same names.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ConfigurationError(f"a pseudonym key has {KEY_BYTES} bytes, this one has {len(key)}")
        self._key = key

    @property
    def fingerprint(self) -> str:
        """Tells keys apart and gives nothing of the key away."""
        return hmac.digest(self._key, b"fingerprint", hashlib.sha256).hex()[:16]

    def pseudonym(self, source: str, raw_id: str) -> str:
        """`u_` and 26 base32 characters; the length of `source` is hashed too, so that no two pairs run together."""
        message = f"{len(source)}:{source}{raw_id}".encode()
        digest = hmac.digest(self._key, message, hashlib.sha256)
        return PREFIX + base64.b32encode(digest[:20]).decode().lower()[:LENGTH_CHARACTERS]

    def pseudonyms(self, source: str, raw_ids: Iterable[str]) -> list[str]:
        return [self.pseudonym(source, raw_id) for raw_id in raw_ids]


def is_pseudonym(text: str) -> bool:
    """Whether a user id is a pseudonym already, not a shop's raw id."""
    return _PSEUDONYM.fullmatch(text) is not None


def key_path(settings: Settings) -> Path:
    return settings.secrets / "pseudonym.key"


def open_pseudonymiser(settings: Settings) -> Pseudonymiser:
    """Read this installation's key, made at first use.

    Raises:
        ConfigurationError: the key file holds something else.
    """
    path = key_path(settings)
    text = secret(path, lambda: secrets.token_hex(KEY_BYTES))
    try:
        return Pseudonymiser(binascii.unhexlify(text))
    except (binascii.Error, ValueError, ConfigurationError):
        raise ConfigurationError(f"{path}: not a pseudonym key ({2 * KEY_BYTES} hexadecimal digits)") from None


def confirm_key(graph: Graph, pseudonymiser: Pseudonymiser) -> None:
    """Refuse a graph whose users were named with another key; the first key that a graph sees is noted in it.

    Raises:
        ConfigurationError: the key was lost or changed; with it every known user would become a stranger.
    """
    (found,) = graph.write("pseudonym_key_noted", fingerprint=pseudonymiser.fingerprint)
    if found["fingerprint"] != pseudonymiser.fingerprint:
        raise ConfigurationError(
            f"this graph's users were named with another pseudonym key (fingerprint {found['fingerprint']}, "
            f"this installation's is {pseudonymiser.fingerprint}): restore the old secrets/pseudonym.key, "
            "or empty the graph and ingest again"
        )
