"""What the tasks of a worker share is opened once, and anew where it was lost."""

from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from redis import Redis

from shopgraph.errors import ServiceError
from shopgraph.graph.connection import Graph
from shopgraph.services.broker import Broker
from shopgraph.settings import Settings
from shopgraph.wiring_serving import open_graph
from shopgraph_workers.execution import Execution
from shopgraph_workers.lease import LeaseTerms
from shopgraph_workers.run_state import RunFolder


def test_a_graph_that_was_lost_is_opened_anew(
    settings: Settings, shared_graph: Graph, broker: Broker, tmp_path: Path
) -> None:
    opened: list[Graph] = []

    def open_training() -> Any:
        opened.append(open_graph(settings))
        return SimpleNamespace(graph=opened[-1])

    with Redis.from_url(broker.url(), decode_responses=True) as client:
        execution = Execution(open_training, RunFolder(tmp_path), LeaseTerms(client, 2.0), Event())
        held = execution.training
        assert execution.training is held
        held.graph.read("newest_event")
        assert execution.training is held
        held.graph.close()
        with pytest.raises(ServiceError):
            held.graph.read("newest_event")
        assert execution.training is not held
        assert execution.training.graph.read("newest_event")
        assert len(opened) == 2
    for graph in opened:
        graph.close()
