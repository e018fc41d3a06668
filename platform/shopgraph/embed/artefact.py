"""What a trained encoder needs to encode nodes that came after its snapshot, in one file of a version's folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import torch

from shopgraph.dataset.hetero import NODE_KINDS, EdgeType, segment_columns
from shopgraph.dataset.snapshot import Snapshot
from shopgraph.dataset.vocabulary import Vocabulary
from shopgraph.embed.adjacency import Adjacency
from shopgraph.embed.affinity import Affinity
from shopgraph.embed.encoder import Encoder
from shopgraph.embed.encoders import build_encoder
from shopgraph.embed.message_graph import MessageGraph, MessageGraphs, both_ways
from shopgraph.embed.structure import Standard, activity_standard
from shopgraph.errors import InputError
from shopgraph.newcomers import ARTEFACT_FILE, require_artefact


@dataclass(frozen=True)
class EncodingArtefact:
    """A trained encoder with the graph it was trained on, frozen at the snapshot's moment."""

    encoder: Encoder
    graph: MessageGraph
    vocabulary: dict[str, Vocabulary]
    """By kind of node, the ids of the graph's rows."""
    half_life_weeks: float
    activity: Standard
    segments: list[tuple[str, str]]
    """Segment and value of each column of the users' features."""
    text_width: int
    """Columns of text vectors among the products' features, 0 where the encoder was trained without text."""

    @property
    def text(self) -> np.ndarray | None:
        """(products, text columns), the last of their features; None where the encoder was trained without text."""
        return self.graph.features["product"][:, -self.text_width :].numpy() if self.text_width else None


def write_artefact(
    path: Path,
    encoder: Encoder,
    named: tuple[str, dict, int],
    graph: MessageGraph,
    graphs: MessageGraphs,
    snapshot: Snapshot,
    text_width: int,
) -> None:
    """Keep an encoder and its whole graph.

    Args:
        named: the encoder's name, options and dimension, as `build_encoder` takes them.
    """
    graph = graph.to("cpu")
    standard = activity_standard(graphs.purchases.before(graphs.end_ms), graphs.end_ms)
    torch.save(
        {
            "encoder": list(named),
            "state": {name: value.cpu() for name, value in encoder.state_dict().items()},
            "ids": {kind: snapshot.ids(label) for label, kind in NODE_KINDS.items()},
            "edges": {
                "__".join(edge): (relation.source.int(), relation.target.int(), relation.weight)
                for edge, relation in graph.relations.items()
                if not is_reverse(edge)
            },
            "features": graph.features,
            "position": graph.position,
            "fold_in": graph.fold_in,
            "pooled": graph.pooled,
            "counted": {"popularity": graph.popularity, "activity": graph.activity},
            "standard": {"mean": torch.from_numpy(standard.mean), "deviation": torch.from_numpy(standard.deviation)},
            "segments": segment_columns(snapshot),
            "affinity": None if graph.affinity is None else vars(graph.affinity),
            "moment_ms": graph.moment_ms,
            "half_life_weeks": graphs.half_life_weeks,
            "text_width": text_width,
        },
        path,
    )


def open_artefact(folder: Path) -> EncodingArtefact:
    """Read the artefact of a version.

    Raises:
        InputError: the version has none, or it is damaged.
    """
    require_artefact(folder)
    path = folder / ARTEFACT_FILE
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises what the damage happens to break: pickle, zip or key errors
        raise InputError(f"{path} is damaged ({error}): retrain, or publish another version") from None
    ids = kept["ids"]
    sizes = {kind: len(found) for kind, found in ids.items()}
    relations: dict[EdgeType, Adjacency] = {}
    for name, (source, target, weight) in kept["edges"].items():
        edge: EdgeType = tuple(name.split("__"))
        shape = (sizes[edge[0]], sizes[edge[2]])
        relations |= both_ways(edge, sp.csr_array((weight.numpy(), (source.numpy(), target.numpy())), shape=shape))
    graph = MessageGraph(
        relations,
        kept["features"],
        kept["position"],
        kept["fold_in"],
        kept["pooled"],
        kept["counted"]["popularity"],
        kept["counted"]["activity"],
        sizes,
        np.empty(0, np.int64),
        kept["moment_ms"],
        affinity=Affinity(**kept["affinity"]) if kept.get("affinity") else None,
    )
    name, options, dimension = kept["encoder"]
    encoder = build_encoder(name, options, graph.shape, dimension, seed=0)
    encoder.load_state_dict(kept["state"])
    encoder.eval()
    if not isinstance(encoder, Encoder):
        raise InputError(f"version {folder.name} holds the artefact of {name}, which learns a vector a node")
    labels = {kind: label for label, kind in NODE_KINDS.items()}
    return EncodingArtefact(
        encoder,
        graph,
        {kind: Vocabulary(labels[kind], found) for kind, found in ids.items()},
        kept["half_life_weeks"],
        Standard(kept["standard"]["mean"].numpy(), kept["standard"]["deviation"].numpy()),
        [tuple(column) for column in kept["segments"]],
        kept["text_width"],
    )


def is_reverse(edge: EdgeType) -> bool:
    return edge[1].startswith("rev_")
