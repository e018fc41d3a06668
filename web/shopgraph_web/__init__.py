"""The panel people look at and the API programs call; both read the graph through one `Serving`."""

from shopgraph_web.application import create_app

__all__ = ["create_app"]
