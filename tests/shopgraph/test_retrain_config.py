"""What a retraining is told of its learners, by `--config` or by the operator, and what is refused before it starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from shopgraph.errors import ConfigurationError
from shopgraph.jobs import read_config, usual_config
from shopgraph.settings import Settings


def test_fields_are_read_by_family(tmp_path: Path) -> None:
    path = tmp_path / "gat.json"
    path.write_text('{"graph": {"encoder": "gat", "options": {"heads": 4}}}')
    assert read_config(str(path), "--config") == {"graph": {"encoder": "gat", "options": {"heads": 4}}}
    assert read_config('{"graph": {"text_features": true}}', "--config", ["graph"]) == {
        "graph": {"text_features": True}
    }


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
        read_config(str(path), "--config", ["graph"])
    assert str(path) in str(refused.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        read_config(str(tmp_path / "none.json"), "--config")
    with pytest.raises(ConfigurationError, match="Expecting value"):
        read_config('{"graph": }', "--config")


def test_what_the_operator_set_counts_for_the_families_that_are_trained() -> None:
    settings = Settings(retrain_config='{"graph": {"encoder": "gat"}, "text": {"fusion": {"kind": "none"}}}')
    assert usual_config(settings, ["graph", "ranker"]) == {"graph": {"encoder": "gat"}}
    assert usual_config(settings).keys() == {"graph", "text"}
    assert usual_config(Settings()) == {}
    with pytest.raises(ConfigurationError, match=r"SHOPGRAPH_RETRAIN_CONFIG .*'image' is not trained"):
        usual_config(Settings(retrain_config='{"image": {}}'))
