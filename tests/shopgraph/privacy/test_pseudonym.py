"""Pseudonyms are stable under one key, tell nothing, and a lost key is noticed."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopgraph.errors import ConfigurationError
from shopgraph.graph.connection import Graph
from shopgraph.privacy.pseudonym import Pseudonymiser, confirm_key, is_pseudonym, key_path, open_pseudonymiser
from shopgraph.settings import load_settings

ONE, OTHER = Pseudonymiser(b"1" * 32), Pseudonymiser(b"2" * 32)


def test_a_pseudonym_is_known_by_its_key_alone() -> None:
    # hmac.new(b"1" * 32, b"4:shop42", "sha256"), first 130 bits in lower-case base32
    assert ONE.pseudonym("shop", "42") == "u_ui4ksn7yafl4h5wx4pff4ld56z"
    assert ONE.pseudonym("shop", "42") != OTHER.pseudonym("shop", "42")


@given(st.text(max_size=5), st.text(max_size=5), st.text(max_size=5), st.text(max_size=5))
def test_different_users_never_share_a_pseudonym(source: str, raw: str, other_source: str, other_raw: str) -> None:
    same = (source, raw) == (other_source, other_raw)
    assert (ONE.pseudonym(source, raw) == ONE.pseudonym(other_source, other_raw)) is same
    assert is_pseudonym(ONE.pseudonym(source, raw))


@pytest.mark.parametrize("raw", ["42", "u_42", "u_" + "A" * 26, "u_" + "a" * 27, ""])
def test_a_raw_id_is_not_taken_for_a_pseudonym(raw: str) -> None:
    assert not is_pseudonym(raw)


def test_the_key_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path)
    first = open_pseudonymiser(settings)
    assert open_pseudonymiser(settings).fingerprint == first.fingerprint
    assert stat.S_IMODE(key_path(settings).stat().st_mode) == 0o600
    assert open_pseudonymiser(load_settings(home=tmp_path / "other")).fingerprint != first.fingerprint


def test_a_broken_key_file_is_named(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path)
    key_path(settings).parent.mkdir(parents=True)
    key_path(settings).write_text("not a key")
    with pytest.raises(ConfigurationError, match=r"pseudonym\.key: not a pseudonym key"):
        open_pseudonymiser(settings)


def test_a_changed_key_is_refused_once_there_are_users(graph: Graph) -> None:
    confirm_key(graph, ONE)
    confirm_key(graph, OTHER)
    graph.driver.execute_query("CYPHER 25 CREATE (:User {id: $id})", id=OTHER.pseudonym("shop", "42"))
    confirm_key(graph, OTHER)
    with pytest.raises(ConfigurationError, match=r"another pseudonym key .*restore the old secrets/pseudonym\.key"):
        confirm_key(graph, ONE)
    confirm_key(graph, OTHER)
