"""Every collaborative filter by name, so that a bench, a tuner or a ranker can go over them all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import scipy.sparse as sp

from shopgraph.collaborative.attribute_affinity import AttributeAffinityConfig, fit_attribute_affinity
from shopgraph.collaborative.bpr import BprConfig, fit_bpr
from shopgraph.collaborative.ease import EaseConfig, fit_ease
from shopgraph.collaborative.gf_cf import GfCfConfig, fit_gf_cf
from shopgraph.collaborative.ials import IalsConfig, fit_ials
from shopgraph.collaborative.item_knn import ItemKnnConfig, fit_item_knn
from shopgraph.collaborative.page_rank import PageRankConfig, fit_page_rank
from shopgraph.collaborative.personal_frequency import PersonalFrequencyConfig, fit_personal_frequency
from shopgraph.collaborative.popularity import PopularityConfig, fit_popularity
from shopgraph.collaborative.rp3beta import Rp3BetaConfig, fit_rp3beta
from shopgraph.collaborative.tifu_knn import TifuKnnConfig, fit_tifu_knn
from shopgraph.collaborative.up_cf import UpCfConfig, fit_up_cf
from shopgraph.collaborative.user_knn import UserKnnConfig, fit_user_knn
from shopgraph.dataset.purchases import Purchases
from shopgraph.errors import ConfigurationError
from shopgraph.evaluation import Scorer


@dataclass(frozen=True)
class Peer:
    """A recommender, what configures it and what else it takes."""

    config: type[Any]
    fit: Callable[..., Scorer]
    takes_catalogue: bool = False
    """Reads what the catalogue states, and so knows products that nobody bought yet."""
    takes_seed: bool = False


PEERS: dict[str, Peer] = {
    "popularity": Peer(PopularityConfig, fit_popularity),
    "personal_frequency": Peer(PersonalFrequencyConfig, fit_personal_frequency),
    "item_knn": Peer(ItemKnnConfig, fit_item_knn),
    "user_knn": Peer(UserKnnConfig, fit_user_knn),
    "rp3beta": Peer(Rp3BetaConfig, fit_rp3beta),
    "ease": Peer(EaseConfig, fit_ease),
    "ials": Peer(IalsConfig, fit_ials, takes_seed=True),
    "bpr": Peer(BprConfig, fit_bpr, takes_seed=True),
    "gf_cf": Peer(GfCfConfig, fit_gf_cf, takes_seed=True),
    "up_cf": Peer(UpCfConfig, fit_up_cf),
    "tifu_knn": Peer(TifuKnnConfig, fit_tifu_knn),
    "page_rank": Peer(PageRankConfig, fit_page_rank, takes_catalogue=True),
    "attribute_affinity": Peer(AttributeAffinityConfig, fit_attribute_affinity, takes_catalogue=True),
}


def fit_peer(
    name: str,
    purchases: Purchases,
    moment_ms: int,
    catalogue: sp.csr_array | None = None,
    config: Any = None,
    seed: int = 0,
) -> Scorer:
    """Fit a recommender by its name on the purchases before a moment.

    Args:
        catalogue: (products, catalogue nodes), what is stated of each product; only some take it.
        config: an instance of the recommender's config class, by default its defaults.

    Raises:
        ConfigurationError: no recommender has that name, its config is of another, or it lacks the catalogue.
        InputError: nothing was bought before the moment.
    """
    if name not in PEERS:
        raise ConfigurationError(f"no collaborative filter is called {name!r}; there are {', '.join(PEERS)}")
    peer = PEERS[name]
    config = peer.config() if config is None else config
    if not isinstance(config, peer.config):
        raise ConfigurationError(f"{name} takes a {peer.config.__name__}, not a {type(config).__name__}")
    given: dict[str, Any] = {"config": config}
    if peer.takes_seed:
        given["seed"] = seed
    if peer.takes_catalogue:
        if catalogue is None:
            raise ConfigurationError(f"{name} reads what the catalogue states; give it the catalogue's matrix")
        given["catalogue"] = catalogue
    return peer.fit(purchases, moment_ms, **given)
