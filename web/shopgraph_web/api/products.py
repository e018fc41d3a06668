"""GET /api/v1/products/{id} and /api/v1/products/{id}/similar."""

from __future__ import annotations

from flask import Response, abort
from pydantic import BaseModel, Field

from shopgraph.recommend.liking import UnknownProductsError
from shopgraph_web.admin.sources import currencies
from shopgraph_web.api.answers import Failure, ProductCard, RecommendationList, sent
from shopgraph_web.api.gate import api_addresses
from shopgraph_web.api.questions import ShownQuery
from shopgraph_web.api.shown import audience, shown
from shopgraph_web.backend import serving
from shopgraph_web.formatting import retired

api = api_addresses("products")


class ProductPath(BaseModel):
    id: str = Field(min_length=1, max_length=200, description="source-namespaced id, e.g. cj:1029743")


@api.get("/products/<path:id>", summary="One product", responses={"200": ProductCard, "404": Failure})
def product(path: ProductPath) -> Response:
    """A product's catalogue facts."""
    found = serving().graph.record("product_card", id=path.id)
    if found is None:
        abort(404, f"no product has the id {path.id!r}")
    facts = found["product"]
    card = ProductCard(
        **{name: facts[name] for name in ProductCard.model_fields if name in facts and name != "hidden"},
        currency=currencies().get(facts["source"]),
        hidden=bool(facts["hidden"]),
        retired=retired(facts),
    )
    return sent(card)


@api.get(
    "/products/<path:id>/similar",
    summary="Products like one product",
    responses={"200": RecommendationList, "404": Failure},
)
def similar(path: ProductPath, query: ShownQuery) -> Response:
    """The products nearest to one product, each with the reason."""
    seen_by = audience(serving(), query.user, query.session)
    try:
        answer = serving().recommender.similar(
            path.id,
            query.n,
            query.scenario,
            offset=query.offset,
            filters=query.filters,
            who=seen_by.who,
            session_id=seen_by.session,
        )
    except UnknownProductsError as error:
        abort(404, str(error))
    return sent(shown(answer, seen_by))
