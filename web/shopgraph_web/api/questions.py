"""What every question for products may say: how many, which page, within which filters, for which place."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints, model_validator

from shopgraph.recommend.filters import Filters
from shopgraph.recommend.page import MOST_ITEMS

Id = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class AskedQuery(BaseModel):
    """What a request says in its address."""

    @classmethod
    def model_json_schema(cls, *told: Any, **options: Any) -> dict[str, Any]:
        """The same without arguments each time: flask-openapi3 asks for it at every request, and making it takes longer
        than all else that is done about one."""
        return super().model_json_schema(*told, **options) if told or options else _schema(cls)


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return BaseModel.model_json_schema.__func__(model)  # type: ignore[attr-defined]


class ProductsQuery(AskedQuery):
    n: int = Field(20, ge=1, le=MOST_ITEMS, description="how many products")
    offset: int = Field(
        0, ge=0, lt=MOST_ITEMS, description=f"the place of the first, from 0; with n at most {MOST_ITEMS}"
    )
    exclude: list[str] = Field(
        [], max_length=500, description="product ids that are not shown; an address holds 8,000 letters"
    )
    category: list[str] = Field([], max_length=50, description="only of these categories, whole paths of any level")
    min_price: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="only at this price or above, in the source's currency"
    )
    max_price: float | None = Field(None, ge=0, allow_inf_nan=False, description="only at this price or below")
    scenario: str = Field(
        "",
        max_length=60,
        description="the place that it is for (home, product, basket, search, or one of the shop's own): its blends, "
        "ranker and experiment make the answer, and its rules apply beside all others",
    )

    @model_validator(mode="after")
    def _within_reach(self) -> ProductsQuery:
        if self.offset + self.n > MOST_ITEMS:
            raise ValueError(f"offset and n together are at most {MOST_ITEMS}")
        return self

    @property
    def filters(self) -> Filters:
        """
        Raises:
            InputError: the bounds of price leave nothing between them.
        """
        return Filters(self.exclude, self.category, self.min_price, self.max_price)


class ShownQuery(ProductsQuery):
    """A question about products, which says who sees the answer."""

    user: str = Field(
        "",
        max_length=200,
        description="who sees it: what they have hidden is left out; for experiments, and for what events came of it",
    )
    session: str = Field("", max_length=200, description="the visit, where nobody has signed in")


class PersonalQuery(ProductsQuery):
    exclude_owned: bool = Field(False, description="leave out what the user bought before")
    new_only: bool = Field(False, description="only products that nobody has bought yet")
    diversity: float = Field(0.0, ge=0, le=1, description="how unlike each other products have to be")
    explain: Literal["path", "full"] = Field(
        "path", description="full: say what each place rests on too, and start each path from what it leans on most"
    )
