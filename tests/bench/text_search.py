"""Who finds what by a query: full-text search of a real Neo4j, the packaged model, and ours."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import neo4j
import numpy as np
import scipy.sparse as sp

from shopgraph.evaluation import graded_ndcg
from shopgraph.query_encoder import QueryEncoder
from shopgraph.recommend.fusion import Blend, FusionConfig
from shopgraph.recommend.search_trial import SHARES, with_share
from shopgraph.services.neo4j_server import Neo4jServer
from shopgraph.settings import load_settings
from shopgraph.text.backbone import DEFAULT, backbone_path, open_encoder
from shopgraph.text.encoding import encode_texts

TIMEOUT_S = 60
FOUND = 1000


def mean_ndcg(scores: np.ndarray, gains: sp.csr_array, judged: np.ndarray) -> float:
    """NDCG@10 over the judged products, mean of the queries."""
    return float(graded_ndcg(scores[:, judged], gains[:, judged].toarray()).mean())


def untouched_scores(queries: Sequence[str], products: np.ndarray) -> np.ndarray:
    """(queries, products), by the packaged model as it comes."""
    model = open_encoder(backbone_path(DEFAULT), "cpu", 64)
    return encode_texts(model, list(queries)).matrix @ products.T


def served_scores(queries: Sequence[str], folder: Path, products: np.ndarray) -> np.ndarray:
    """(queries, products), queries encoded as serving does, in 8 bits and without torch."""
    return QueryEncoder(folder)(list(queries)) @ products.T


def together(full_text: np.ndarray, vectors: np.ndarray, blend: Blend) -> np.ndarray:
    """(queries, products), by ranks as `Recommender.search` joins both; what full-text does not find has none there."""
    found = np.where(full_text > 0, 1 / (blend.rank_offset + _ranks(full_text)), 0)
    return blend.weights["full_text_search"] * found + blend.weights["text_search"] / (
        blend.rank_offset + _ranks(vectors)
    )


def preferred(
    full_text: dict[str, np.ndarray], vectors: dict[str, np.ndarray], gains: sp.csr_array, judged: np.ndarray
) -> tuple[float, dict[str, np.ndarray]]:
    """The share of words that the validation queries prefer, as `shopgraph evaluate --searches` tries them, and by part
    the scores it gives.
    """

    def joined(share: float, part: str) -> np.ndarray:
        return together(full_text[part], vectors[part], with_share(FusionConfig().search, share))

    share = max(SHARES, key=lambda share: mean_ndcg(joined(share, "validation"), gains, judged))
    return share, {part: joined(share, part) for part in vectors}


def _ranks(scores: np.ndarray) -> np.ndarray:
    """Of each row, the best as 1."""
    return (-scores).argsort(axis=1, kind="stable").argsort(axis=1) + 1


def full_text_scores(queries: Sequence[str], texts: Sequence[str]) -> np.ndarray:
    """(queries, texts): the scores that a full-text index of Neo4j gives, 0 for what it does not find."""
    scores = np.zeros((len(queries), len(texts)), np.float32)
    with TemporaryDirectory() as home:
        server = Neo4jServer(load_settings(home=Path(home), neo4j_heap_mib=512, neo4j_page_cache_mib=64))
        server.start()
        try:
            with neo4j.GraphDatabase.driver(server.uri(), auth=("neo4j", server.password())) as driver:
                rows = [{"row": row, "text": text} for row, text in enumerate(texts)]
                driver.execute_query("UNWIND $rows AS r CREATE (:Text {row: r.row, text: r.text})", rows=rows)
                driver.execute_query("CREATE FULLTEXT INDEX texts FOR (t:Text) ON EACH [t.text]")
                driver.execute_query("CALL db.awaitIndexes($seconds)", seconds=TIMEOUT_S)
                for number, query in enumerate(queries):
                    answer, _, _ = driver.execute_query(
                        "CALL db.index.fulltext.queryNodes('texts', $query, {limit: $found}) YIELD node, score "
                        "RETURN node.row AS row, score",
                        query=" ".join(re.findall(r"\w+", query)),
                        found=FOUND,
                    )
                    for record in answer:
                        scores[number, record["row"]] = record["score"]
        finally:
            server.stop()
            shutil.rmtree(home, ignore_errors=True)
    return scores
