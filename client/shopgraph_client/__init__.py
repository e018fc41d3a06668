"""A typed client of shopgraph's HTTP API; it needs requests and pydantic, and nothing else of shopgraph."""

from shopgraph_client.answers import (
    BatchAnswer,
    Detail,
    Fault,
    Filed,
    Health,
    Item,
    ProductCard,
    Reason,
    Receipt,
    RecommendationList,
    RefusedLine,
    SharedProduct,
    UserAlike,
    UserList,
)
from shopgraph_client.client import Client, Narrowed
from shopgraph_client.errors import ApiError
from shopgraph_client.event import Event

__all__ = [
    "ApiError",
    "BatchAnswer",
    "Client",
    "Detail",
    "Event",
    "Fault",
    "Filed",
    "Health",
    "Item",
    "Narrowed",
    "ProductCard",
    "Reason",
    "Receipt",
    "RecommendationList",
    "RefusedLine",
    "SharedProduct",
    "UserAlike",
    "UserList",
]
