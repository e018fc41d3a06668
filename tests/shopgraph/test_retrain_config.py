"""What `shopgraph retrain --config` reads, and what it refuses before anything is queued."""

from __future__ import annotations

from pathlib import Path

import pytest

from shopgraph.cli.retrain import _config
from shopgraph.errors import ConfigurationError


def test_fields_are_read_by_family(tmp_path: Path) -> None:
    path = tmp_path / "gat.json"
    path.write_text('{"graph": {"encoder": "gat", "options": {"heads": 4}}}')
    assert _config(str(path), ["graph", "text"]) == {"graph": {"encoder": "gat", "options": {"heads": 4}}}
    assert _config('{"graph": {"text_features": true}}', ["graph"]) == {"graph": {"text_features": True}}
    assert _config(None, ["graph"]) == {}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "line 1 column 2"),
        ('["graph"]', "expected an object of fields, found list"),
        ('{"graph": "gat"}', "expected fields by family"),
        ('{"image": {}}', "'image' is not trained"),
    ],
)
def test_a_file_that_means_nothing_is_refused_by_name(content: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.json"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=said) as refused:
        _config(str(path), ["graph"])
    assert str(path) in str(refused.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        _config(str(tmp_path / "none.json"), ["graph"])
    with pytest.raises(ConfigurationError, match="Expecting value"):
        _config('{"graph": }', ["graph"])
