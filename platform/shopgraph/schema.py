"""The graph's shape as frozen data: what constraints, loaders, export, pages and tests are checked against."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

NEVER = datetime(9999, 12, 31, tzinfo=UTC)
"""`retired_at` of a product that is on sale: in-index filters know no NULL, so "never" is a date."""

SEGMENTS = (
    "age",
    "gender",
    "income",
    "household_size",
    "household_comp",
    "home_ownership",
    "marital_status",
    "kids_count",
    "region",
)
"""The categorical properties a `User` may carry; none of them identifies a person."""

STAMPS = frozenset({"source", "run", "updated_at"})
"""Who wrote a node or relation last. Left out of snapshot ids and graph hashes."""


@dataclass(frozen=True)
class Property:
    """One property of a node or relation. `kind` is a Neo4j scalar type in lower case."""

    name: str
    kind: str
    doc: str
    default: object = None


@dataclass(frozen=True)
class NodeType:
    """A label with its unique key and the properties a source may write."""

    label: str
    properties: tuple[Property, ...]
    swept: bool = False
    """Whether a full-state source retires what it no longer names."""

    @property
    def key(self) -> str:
        return "id"


@dataclass(frozen=True)
class RelationType:
    """A relationship type between two labels. `behaviour` is append-only; the rest is catalogue."""

    type: str
    source: str
    target: str
    properties: tuple[Property, ...] = ()
    behaviour: bool = False
    derived: bool = False


@dataclass(frozen=True)
class EmbeddingFamily:
    """Vectors of one origin, served from one of two slots.

    Shapes:
        each vector: (dimension,), float32, unit length, so that cosine equals the inner product.
    """

    name: str
    dimension: int
    labels: tuple[str, ...]
    indexed: str = "Product"

    def vector_property(self, slot: str) -> str:
        return f"{self.name}_{slot}"

    def list_property(self, slot: str) -> str:
        """The exact nearest products of the node: ids in falling order of similarity, one text with a line each.

        One text takes a third of the time of a list of texts to write, and `split` opens it where it is read.
        """
        return f"{self.name}_{slot}_top"

    def novel_list_property(self, slot: str) -> str:
        """A user's list again, without the products bought before the snapshot's day."""
        return f"{self.name}_{slot}_new"

    def edges_property(self, slot: str) -> str:
        """Of a node encoded after the publish: how many relations its vector was made of."""
        return f"{self.name}_{slot}_edges"

    def until_property(self, slot: str) -> str:
        """Of a user encoded after the publish: the newest event that the vector knows."""
        return f"{self.name}_{slot}_until"

    def index_name(self, slot: str) -> str:
        return f"{self.indexed.lower()}_{self.name}_{slot}"


SLOTS = ("blue", "green")

FAMILIES = {
    "graph": EmbeddingFamily("graph", 192, ("Product", "User")),
    "text": EmbeddingFamily("text", 128, ("Product",)),
}

RANKER = "ranker"
"""The family of rankers: its versions are files, named by a release beside those of the embeddings."""


def _text(name: str, doc: str, default: object = None) -> Property:
    return Property(name, "string", doc, default)


NODES: dict[str, NodeType] = {
    node.label: node
    for node in (
        NodeType(
            "Product",
            (
                _text("id", "source-namespaced id, e.g. cj:1029743"),
                _text("title", "what a shopper reads"),
                _text("description", "free text, may be empty", ""),
                Property("price", "float", "current price in the source's currency; absent when unknown"),
                _text("image", "path or address of a picture, may be empty", ""),
                _text("package_size", "as printed on the package, e.g. 12 OZ", ""),
                Property("stock", "integer", "units on hand; 1 where the source does not track stock", 1),
                Property("hidden", "boolean", "taken out of every answer by a curator", False),
                Property("retired_at", "datetime", "when the feed stopped naming it; year 9999 while on sale", NEVER),
                Property("first_seen", "datetime", "first time a feed or purchase named it"),
                _text("brand_id", "copy of MADE_BY for in-index filters", ""),
                _text("category_1", "id of the top category, copy of IN_CATEGORY for in-index filters", ""),
                _text("category_2", "id of the second category level", ""),
                _text("category_3", "id of the third category level", ""),
                _text(
                    "variant_of", "of what it is a variant: an id, shared or of the main one; an answer shows one", ""
                ),
            ),
            swept=True,
        ),
        NodeType(
            "User",
            (
                _text("id", "keyed pseudonym, never the shop's raw id"),
                *(_text(name, "segment attribute") for name in SEGMENTS),
            ),
        ),
        NodeType("Brand", (_text("id", "normalised name"), _text("name", "as written"))),
        NodeType("Author", (_text("id", "normalised name"), _text("name", "as written"))),
        NodeType(
            "Category",
            (
                _text("id", "the whole path, e.g. GROCERY > SOUP > DRY SOUP"),
                _text("name", "the last part of the path"),
                Property("level", "integer", "1 at the top"),
            ),
        ),
        NodeType(
            "Attribute",
            (_text("id", "key=value"), _text("key", "e.g. label"), _text("value", "e.g. private")),
        ),
        NodeType("SearchTerm", (_text("id", "the term, lower case, single spaces"), _text("text", "as first typed"))),
    )
}

_AT = Property("at", "datetime", "when it happened, UTC")

RELATIONS: dict[str, RelationType] = {
    relation.type: relation
    for relation in (
        RelationType(
            "PURCHASED",
            "User",
            "Product",
            (
                _text("line_id", "unique; one per order line"),
                _AT,
                Property("quantity", "integer", "units, at least 1"),
                Property("amount", "float", "the line's total paid, in the source's currency; 0 is real"),
                Property("discount", "float", "what was taken off the line, in the source's currency", 0.0),
                _text("order_id", "one basket"),
            ),
            behaviour=True,
        ),
        RelationType("VIEWED", "User", "Product", (_text("line_id", "unique event id"), _AT), behaviour=True),
        RelationType("SEARCHED", "User", "SearchTerm", (_text("line_id", "unique event id"), _AT), behaviour=True),
        RelationType(
            "RATED",
            "User",
            "Product",
            (
                _text("line_id", "unique event id"),
                _AT,
                Property("rating", "float", "1 (worst) to 5 (best)"),
                _text("text", "review, may be empty", ""),
            ),
            behaviour=True,
        ),
        RelationType("MADE_BY", "Product", "Brand"),
        RelationType("WRITTEN_BY", "Product", "Author"),
        RelationType("IN_CATEGORY", "Product", "Category"),
        RelationType("CHILD_OF", "Category", "Category"),
        RelationType("HAS_ATTRIBUTE", "Product", "Attribute"),
        RelationType(
            "BOUGHT_WITH",
            "Product",
            "Product",
            (Property("weight", "float", "cosine of the two products' baskets"),),
            derived=True,
        ),
        RelationType(
            "SIMILAR_TO",
            "User",
            "User",
            (Property("weight", "float", "cosine of what the two users bought"),),
            derived=True,
        ),
    )
}
"""`CONTAINS` (Order to Product) is implied by `order_id` and built only where a query needs it."""

BEHAVIOUR = tuple(name for name, relation in RELATIONS.items() if relation.behaviour)
CATALOGUE = tuple(name for name, relation in RELATIONS.items() if not relation.behaviour and not relation.derived)


@dataclass(frozen=True)
class EventType:
    """What one kind of event means for the next answers; what models learn from it is theirs to say."""

    name: str
    relation: str
    """The relation it becomes, from a `User`, or from a `Session` where nobody has signed in."""
    doc: str
    weight: float = 0.0
    """How much it says that the product interests now; below 0, that it does not. A rating counts by how far it is
    from 3, and against the product below 3."""
    steers: timedelta | None = None
    """How long it does so, fading evenly to nothing; None where it weighs nothing, or stands until it is taken back."""
    needs: tuple[str, ...] = ("product_id",)


SESSION = "Session"
"""Label of a visit without a user: what happens in it steers that visit alone, and nothing is learned from it."""

EVENTS: dict[str, EventType] = {
    event.name: event
    for event in (
        EventType("view", "VIEWED", "looked at a product", 1.0, timedelta(hours=12)),
        EventType(
            "search",
            "SEARCHED",
            "typed a query; what matches it is shown, and the text model learns from it",
            1.0,
            timedelta(hours=12),
            needs=("query",),
        ),
        EventType(
            "purchase",
            "PURCHASED",
            "bought a product; what is bought together and again sees it at once",
            needs=("product_id", "amount"),
        ),
        EventType(
            "rating",
            "RATED",
            "rated a product; it is not recommended while its last rating is below 3",
            2.0,
            timedelta(days=2),
            needs=("product_id", "rating"),
        ),
        EventType("basket_add", "PUT_IN_BASKET", "put a product into the basket", 3.0, timedelta(days=3)),
        EventType("basket_remove", "TOOK_FROM_BASKET", "took it out again", -3.0, timedelta(days=3)),
        EventType("hide", "HID", "never wants to see the product again", float("-inf")),
        EventType("unhide", "UNHID", "takes a hide back"),
    )
}

STEERING: dict[str, RelationType] = {
    event.relation: RelationType(
        event.relation, "User", "Product", (_text("line_id", "unique event id"), _AT), behaviour=True
    )
    for event in EVENTS.values()
    if event.relation not in RELATIONS
}
"""Relations of events that steer answers and that no snapshot holds."""


def relation_id(start: str, relation: str, end: str) -> str:
    """What doubts call a relation, in its own direction."""
    return f"{start} {relation} {end}"
