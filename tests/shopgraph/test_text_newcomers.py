"""A graph model that learned from texts: published, then a product with words of its own comes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from shopgraph.dataset.corpus import CorpusConfig, read_corpus
from shopgraph.embed.artefact import open_artefact
from shopgraph.embed.training import encode
from shopgraph.errors import InputError
from shopgraph.graph.connection import Graph
from shopgraph.settings import Settings
from shopgraph.text.features import FEATURES, open_text_features
from shopgraph.text.reader import FusedReader
from shopgraph.text.training import GRAPH_VERSION
from shopgraph.wiring_training import Encoded

from .embed.test_inductive import frozen
from .test_newcomers import Shop

TEXTS = {
    "text_features": True,
    "cuts": {"count": 2, "spacing_weeks": 2, "supervision_weeks": 2},
    "loop": {"epochs": 12, "patience": 12},
}
TUNED = {"tuning": {"steps": 4, "batch_pairs": 8}, "judged_pairs": 20, "judged_texts": 50}
WRITTEN = "Trail runner. shoes. P. Runner. SPORT > FOOTWEAR. colour red. size 43. Light, and for muddy ground."
WORDS = {"books": "paperback novel", "shoes": "running shoes"}
SOUGHT = {"books": "bedtime", "shoes": "jogging"}
CODES = [f"Maker {number}" for number in range(20)]
NEW = "s:new"
STATED = {
    "MADE_BY": ["maker 7"],
    "WRITTEN_BY": ["p. runner"],
    "IN_CATEGORY": ["SPORT > FOOTWEAR"],
    "HAS_ATTRIBUTE": ["size=43", "colour=red"],
}


class WordyShop(Shop):
    """Titles say what a product is, searches before a purchase say it in other words; brands stand for tastes, twenty
    more are codes, and one product states all else."""

    def __init__(self, graph: Graph, settings: Settings) -> None:
        self.words: dict[str, dict[str, str]] = {}
        self.wordy = ["s:p01"]
        super().__init__(graph, settings)

    def tables(self) -> tuple[dict[str, list[dict]], dict[str, list[dict]]]:
        nodes, relations = super().tables()
        for row in nodes["Product"]:
            row["title"] = f"{WORDS.get(self.brands[row['id']], 'thing')} {row['id'][3:]}"
            row.update(self.words.get(row["id"], {}))
        nodes["Brand"] += [{"id": name.casefold(), "name": name} for name in CODES]
        nodes["Author"] = [{"id": "p. runner", "name": "P. Runner"}]
        nodes["Category"] = [
            {"id": "SPORT", "name": "SPORT", "level": 1},
            {"id": "SPORT > FOOTWEAR", "name": "FOOTWEAR", "level": 2},
        ]
        nodes["Attribute"] = [
            {"id": f"{key}={value}", "key": key, "value": value} for key, value in (("size", "43"), ("colour", "red"))
        ]
        relations["CHILD_OF"] = [{"start": "SPORT > FOOTWEAR", "end": "SPORT"}]
        for name, ends in STATED.items():
            more = [{"start": product, "end": end} for product in self.wordy for end in ends]
            relations[name] = [*relations.get(name, []), *more]
        nodes["SearchTerm"] = [{"id": words, "text": words} for words in SOUGHT.values()]
        relations["SEARCHED"] = [
            {"start": user, "end": SOUGHT[taste], "line_id": f"{user}{product}{at}", "at": at - timedelta(hours=1)}
            for user, product, at in self.bought
            if (taste := self.brands[product])
        ]
        return nodes, relations

    def add_with_words(self) -> None:
        """A pair of shoes by all that a text is made of."""
        self.brands[NEW] = "shoes"
        self.words[NEW] = {"title": "Trail  runner, Maker 7", "description": "Light, and\nfor muddy ground."}
        self.wordy.append(NEW)
        self.load()


@pytest.fixture
def shop(graph: Graph, settings: Settings, tmp_path: Path) -> WordyShop:
    return WordyShop(graph, settings.model_copy(update={"home": tmp_path, "device": "cpu", "torch_threads": 1}))


def learned(shop: WordyShop, folder: Path, config: dict) -> str:
    """As a retraining does it: by the first weeks, then once more from all; the version's id."""
    told: list[str] = []
    earlier, holdout = shop.training.hold_out(shop.snapshot_id, 2, folder)
    judged = shop.training.train_graph(
        earlier, holdout, folder / "train", config, lambda step, done, total, message="": told.append(step)
    )
    assert "graph embedding: texts" in told
    return shop.training.refit_graph(judged, shop.snapshot_id, folder / "refit")


def test_a_new_product_has_the_vector_of_the_whole_forward_pass_over_its_text(shop: WordyShop, tmp_path: Path) -> None:
    training, version = shop.training, learned(shop, tmp_path, TEXTS)
    assert training.registry.get(version).config["text_features"] is True
    release = shop.publish(version)
    assert training.encode_new() == Encoded(release.id)
    before = training.snapshot(shop.snapshot_id).before

    shop.add_with_words()
    assert training.encode_new() == Encoded(release.id, products=1)
    later = training.snapshot(training.export(before))
    row = later.ids("Product").index(NEW)
    corpus = read_corpus(later, CorpusConfig())
    assert corpus.texts[corpus.text_of[row]] == WRITTEN
    folder = training.registry.path(version)
    artefact = open_artefact(folder)
    text = open_text_features(folder, tmp_path / "never seen", "cpu")(corpus.texts)[corpus.text_of]
    expected = encode(artefact.encoder, frozen(later, artefact, text))["product"][row]
    found = np.array(shop.node(NEW)["graph_blue"])
    assert np.abs(found - expected).max() < 1e-5
    mute = np.where(np.arange(len(text))[:, None] == row, text[later.ids("Product").index("s:p00")], text)
    assert np.abs(encode(artefact.encoder, frozen(later, artefact, mute))["product"][row] - expected).max() > 1e-4

    like = shop.recommender.similar(NEW, 12)
    assert any("similar_graph" in item.sources for item in like.items)
    items = shop.recommender.recommend("u_01", 26, exclude_owned=True).items
    assert NEW in [item.id for item in items if "graph_neighbours" in item.sources]


def test_a_new_product_has_a_fused_vector_with_its_inductive_one_as_input(shop: WordyShop, tmp_path: Path) -> None:
    training = shop.training
    graph = learned(shop, tmp_path, {**TEXTS, "loop": {"epochs": 2}})
    text = training.train_text(shop.snapshot_id, tmp_path / "text", TUNED, graph_version=graph)
    training.publish({"graph": graph, "text": text}, shop.snapshot_id)
    assert training.registry.get(text).metrics[GRAPH_VERSION] == graph

    shop.add_with_words()
    assert training.encode_new().products == 1
    reader, found = FusedReader(training.registry.path(text)), shop.node(NEW, "text")
    inductive = np.array([shop.node(NEW)["graph_blue"]], np.float32)
    fused, bare = reader.encode([WRITTEN], inductive)[0], reader.encode([WRITTEN])[0]
    assert np.allclose(found["text_blue"], fused, atol=1e-5)
    assert not np.allclose(fused, bare, atol=1e-3)
    stored = training.registry.vectors(text, "Product")
    nearest = stored.ids[int((stored.matrix @ fused).argmax())]
    assert found["text_blue_top"].split("\n")[0] == nearest
    assert any("similar_text" in item.sources for item in shop.recommender.similar(NEW, 12).items)

    for taste, words in SOUGHT.items():
        meant = shop.recommender.search(words, 8)
        assert (meant.step, {source for item in meant.items for source in item.sources}) == ("search", {"text_search"})
        # the two that state all are what nearly every name leads to, so they come for any words
        assert {shop.brands[item.id] for item in meant.items if item.id not in shop.wordy} == {taste}
    assert shop.recommender.search("muddy ground").items[0].id == NEW

    # the vectors of another graph version are of another space: the text is read with what stands in for one
    (tmp_path / "again").mkdir()
    training.publish({"graph": learned(shop, tmp_path / "again", {**TEXTS, "loop": {"epochs": 1}})}, shop.snapshot_id)
    assert training.encode_new().products == 1
    assert np.allclose(shop.node(NEW, "text")["text_blue"], bare, atol=1e-5)


def test_words_alone_tell_where_a_new_product_belongs(shop: WordyShop, tmp_path: Path) -> None:
    """Both state nothing that the encoder knows; only what they are called differs."""
    release = shop.publish(learned(shop, tmp_path, TEXTS))
    shop.brands |= {"s:novel": None, "s:runner": None}
    shop.words = {"s:novel": {"title": "paperback novel 77"}, "s:runner": {"title": "running shoes 77"}}
    shop.load()
    assert shop.training.encode_new() == Encoded(release.id, products=2)
    appeal = shop.shoes_over_books("Product")
    assert appeal["s:runner"] > appeal["s:novel"]
    # users need no text, and come without a new product too
    shop.buy("u_late", ["s:p01", "s:p05", "s:p09"])
    assert shop.training.encode_new() == Encoded(release.id, users=1)


def test_a_version_that_lost_what_it_reads_texts_with_says_so(shop: WordyShop, tmp_path: Path) -> None:
    version = learned(shop, tmp_path, {**TEXTS, "loop": {"epochs": 1}})
    shop.publish(version)
    (shop.training.registry.path(version) / FEATURES / "reading.json").unlink()
    shop.add("s:new", "books")
    with pytest.raises(InputError, match=r"text-features can't be read .*: retrain"):
        shop.training.encode_new()
    assert shop.node("s:new") == {}
