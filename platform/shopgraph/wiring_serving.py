"""Composition root of everything that serves: it never reaches torch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace

from shopgraph.errors import ConfigurationError
from shopgraph.events.consumer import Consumer
from shopgraph.events.event import session_pseudonym
from shopgraph.events.intake import Intake
from shopgraph.events.stream import EventStream
from shopgraph.graph.connection import Graph
from shopgraph.graph.migration import Schema
from shopgraph.privacy.pseudonym import Pseudonymiser, confirm_key, is_pseudonym, open_pseudonymiser
from shopgraph.recommend.clock import Clock
from shopgraph.recommend.fusion import Blend, FusionConfig
from shopgraph.recommend.query import QueryVectors
from shopgraph.recommend.rank_ahead import RankedAhead, rank_ahead
from shopgraph.recommend.ranked import LearnedFusion
from shopgraph.recommend.recommender import Recommender
from shopgraph.recommend.retrieval import RecommendConfig
from shopgraph.recommend.scenario import SETTING, read_scenarios
from shopgraph.services.broker import Broker
from shopgraph.services.neo4j_server import Neo4jServer
from shopgraph.settings import Settings, read_json
from shopgraph.tracking import Progress, RunLog
from shopgraph_cypher import QueryFileError, load_queries


def open_graph(settings: Settings, apply_schema: bool = True) -> Graph:
    """Connect to the shop's own Neo4j when one is named, else to the managed one, and bring its schema up to date.

    Raises:
        ConfigurationError: an own server without a password, or an own query file that breaks a rule.
        ServiceError: no server answers, or its schema was changed by hand.
    """
    if settings.neo4j_uri:
        if settings.neo4j_password is None:
            raise ConfigurationError("SHOPGRAPH_NEO4J_URI is set: set SHOPGRAPH_NEO4J_PASSWORD too")
        uri, password = settings.neo4j_uri, settings.neo4j_password.get_secret_value()
    else:
        server = Neo4jServer(settings)
        uri, password = server.uri(), server.password()
    try:
        queries = load_queries(settings.cypher_path)
    except QueryFileError as error:
        raise ConfigurationError(str(error)) from None
    graph = Graph(
        uri,
        (settings.neo4j_user, password),
        settings.neo4j_database,
        queries,
        settings.neo4j_timeout_seconds,
    )
    if apply_schema:
        Schema(graph).apply()
    return graph


def recommend_config(settings: Settings) -> RecommendConfig:
    """What is built in, with what the operator set anew.

    Raises:
        ConfigurationError: what was set can't be read, or has no such field.
    """
    named = "SHOPGRAPH_FUSION"
    fusion = read_json(settings.fusion, named) if settings.fusion else {}
    places = read_json(settings.scenarios, SETTING) if settings.scenarios else {}
    return RecommendConfig(
        exploration=settings.exploration,
        fusion=FusionConfig().changed(fusion, named),
        scenarios=read_scenarios(fusion, places),
    )


def broker_url(settings: Settings) -> str:
    """The shop's own broker when one is named, else the managed one."""
    return settings.broker_url or Broker(settings).url()


@dataclass(frozen=True)
class Serving:
    """What a serving process needs, opened after the fork; leaving it closes it."""

    settings: Settings
    graph: Graph
    runs: RunLog
    recommender: Recommender
    clock: Clock
    pseudonymiser: Pseudonymiser

    def pseudonym(self, user: str) -> str:
        """The graph's id of a user: a raw id of the shop, or a pseudonym, which is taken as it is."""
        return user if is_pseudonym(user) else self.pseudonymiser.pseudonym(self.settings.source, user)

    def session(self, session_id: str) -> str:
        """The graph's id of a visit."""
        return session_pseudonym(session_id, self.settings.source, self.pseudonymiser)

    def __enter__(self) -> Serving:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self.graph.close()


def build_recommender(graph: Graph, clock: Clock, settings: Settings) -> Recommender:
    """
    Raises:
        ConfigurationError: the fusion names a source that has no query file.
    """
    config, learned = recommend_config(settings), LearnedFusion(graph, settings.models)
    return Recommender(graph, clock, QueryVectors(settings.models), config, learned)


def rank_ahead_now(graph: Graph, settings: Settings, progress: Progress | None = None) -> RankedAhead | None:
    """Make the lists of now, as a run that the panel shows; see `rank_ahead`.

    Args:
        progress: told besides.
    """
    clock, runs = Clock(graph, settings.clock), RunLog(graph)
    with runs.recorded("ranked") as (run_id, summary):
        write = runs.progress(run_id)

        def tell(step: str, done: int, total: int, message: str = "") -> None:
            write(step, done, total, message)
            if progress is not None:
                progress(step, done, total, message)

        found = rank_ahead(graph, build_recommender(graph, clock, settings), clock.now(), tell)
        summary.update(asdict(found) if found else {})
    return found


def build_serving(settings: Settings) -> Serving:
    """Open everything that serves.

    Raises:
        ConfigurationError: the pseudonym key is not the one this graph's users were named with.
        ServiceError: no server answers.
    """
    pseudonymiser = open_pseudonymiser(settings)
    graph = open_graph(settings)
    try:
        confirm_key(graph, pseudonymiser)
        clock = Clock(graph, settings.clock)
        recommender = build_recommender(graph, clock, settings)
    except BaseException:
        graph.close()
        raise
    return Serving(settings, graph, RunLog(graph), recommender, clock, pseudonymiser)


def build_search(serving: Serving, blend: Blend, n: int) -> Callable[[str], list[str]]:
    """Searches as serving does, for the ids of the first `n`, but by a blend."""
    settings = serving.settings
    config = recommend_config(settings)
    config = replace(config, fusion=replace(config.fusion, search=blend))
    recommender = Recommender(serving.graph, serving.clock, QueryVectors(settings.models), config)
    return lambda query: [item.id for item in recommender.search(query, n).items]


def build_intake(settings: Settings) -> Intake:
    """The door for events, which stays open while Neo4j does not answer.

    Raises:
        ConfigurationError: the broker may lose what it has accepted.
        ServiceError: the broker does not answer.
    """
    stream = EventStream(broker_url(settings))
    try:
        stream.require_durable()
    except BaseException:
        stream.close()
        raise
    return Intake(stream, open_pseudonymiser(settings), settings.source)


def build_consumer(settings: Settings) -> Consumer:
    """What writes events to the graph.

    Raises:
        ConfigurationError: the broker may lose what it has accepted, or the pseudonym key is not this graph's.
        ServiceError: Neo4j or the broker does not answer.
    """
    with ExitStack() as opened:
        stream = EventStream(broker_url(settings))
        opened.callback(stream.close)
        stream.require_durable()
        graph = opened.enter_context(open_graph(settings))
        confirm_key(graph, open_pseudonymiser(settings))
        opened.pop_all()
    return Consumer(graph, stream, settings.source, Clock(graph, "data").now if settings.clock == "data" else None)
