"""Each text is encoded once, resumed where it stopped, projected and judged by arithmetic checked by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from shopgraph.errors import InputError
from shopgraph.text import encoding
from shopgraph.text.encoding import encode_texts
from shopgraph.text.projection import Projection, fit_projection, unit
from shopgraph.text.retrieval import cosine_error, pair_loss, pair_recall

TEXTS = [f"text {'very ' * (n % 7)}number {n}" for n in range(20)]


def test_a_killed_encoding_goes_on_where_it_stopped(
    tiny: Callable[[], SentenceTransformer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(encoding, "CHUNK_TEXTS", 8)

    def kill(step: str, done: int, total: int, message: str = "") -> None:
        if done >= 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_texts(tiny(), TEXTS, folder=tmp_path / "kept", progress=kill)
    resumed = encode_texts(tiny(), TEXTS, folder=tmp_path / "kept")
    again = encode_texts(tiny(), TEXTS, folder=tmp_path / "kept")
    whole = encode_texts(tiny(), TEXTS)
    assert (resumed.fresh, again.fresh, whole.fresh) == (4, 0, 20)
    assert np.allclose(resumed.matrix, whole.matrix, atol=1e-6)
    assert np.array_equal(resumed.matrix, again.matrix)


def test_no_text_is_no_error(tiny: Callable[[], SentenceTransformer]):
    assert encode_texts(tiny(), []).matrix.shape == (0, 32)


def test_a_projection_keeps_the_cosines_of_what_lies_in_its_plane(tmp_path: Path):
    random = np.random.default_rng(0)
    flat = unit(random.normal(size=(30, 2)) @ random.normal(size=(2, 6)))
    projection = fit_projection(flat, 2)
    assert projection.kept_energy == pytest.approx(1)
    assert np.allclose(projection(flat) @ projection(flat).T, flat @ flat.T, atol=1e-5)
    projection.write(tmp_path / "p.npz")
    assert np.array_equal(Projection.read(tmp_path / "p.npz")(flat), projection(flat))


def test_kept_energy_is_the_share_of_the_leading_directions():
    """Three texts along x, one along y: x holds 3 of 4 units of squared length."""
    projection = fit_projection(np.array([[1, 0, 0], [1, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32), 1)
    assert projection.kept_energy == pytest.approx(0.75)
    assert np.allclose(projection.basis.ravel(), [1, 0, 0])


def test_one_text_is_enough_and_none_is_not():
    one = unit(np.array([[3.0, 4.0, 0.0]]))
    assert np.linalg.norm(fit_projection(one, 2)(one)) == pytest.approx(1)
    with pytest.raises(InputError, match="needs a text"):
        fit_projection(np.empty((0, 3), np.float32), 2)
    with pytest.raises(InputError, match="from 3 to 4"):
        fit_projection(one, 4)


def test_a_broken_projection_file_is_named(tmp_path: Path):
    (tmp_path / "p.npz").write_text("no")
    with pytest.raises(InputError, match=r"p\.npz can't be read"):
        Projection.read(tmp_path / "p.npz")


def test_recall_counts_partners_among_the_nearest():
    """On a circle at 0, 10, 30 and 90 degrees: from 0 the nearest is 10, from 90 the nearest is 30."""
    angles = np.radians([0, 10, 30, 90])
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert pair_recall(circle, np.array([[0, 1]]), k=1) == 1
    assert pair_recall(circle, np.array([[2, 3]]), k=1) == 0.5
    assert pair_recall(circle, np.array([[0, 3]]), k=2) == 0
    assert pair_recall(circle, np.array([[0, 3]]), k=3) == 1


def test_a_collapsed_space_recalls_nothing():
    assert pair_recall(np.ones((50, 2)) / np.sqrt(2), np.array([[0, 1], [2, 3]]), k=20) == 0


def test_pair_loss_by_hand():
    """Scores [[2, 0], [0, 2]]: each row and column loses ln(e^2 + 1) - 2 = 0.126928."""
    axes = np.eye(2)
    assert pair_loss(axes, axes, scale=2.0) == pytest.approx(0.126928, abs=1e-6)
    assert pair_loss(axes, axes[::-1], scale=2.0) == pytest.approx(2.126928, abs=1e-6)


def test_cosine_error_of_equal_spaces_is_zero_and_of_a_collapse_is_not():
    axes = np.eye(2)
    assert cosine_error(axes, axes @ np.array([[0, 1], [-1, 0]]), seed=0) == 0
    assert cosine_error(axes, np.ones((2, 1)), seed=0) == pytest.approx(0.5, abs=0.05)
