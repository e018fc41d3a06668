"""Goodbooks: ten thousand books with authors, readers' shelves, star ratings and "want to read" marks.

Files, gzipped CSV: books, tags, book_tags, ratings; ratings_head, book_dbpedia and to_read where they are there.

Rules:
    Product: every book. The data has no prices; the picture is Goodreads' cover, but for its placeholder.
    Author: `authors` is divided at commas, but not before Jr. or Sr.
    Attribute: `shelf=...`, the 8 shelves that most readers put the book on, of those on 100 books or more; shelves that
        say what a reader owns, plans or did (to-read, favorites, kindle, read-in-2015) are dropped. `series=...`,
        `genre=...` (DBpedia) and `year=...` where they are known.
    Category: Books, and below it the first of the book's shelves that is one of `GENRES`; plain fiction comes last.
    RATED: the data has no times. Its rows are in order of time, so row n of ratings gets `START` + n seconds, and rows
        of ratings_head that are not in ratings follow. It is an order, not a clock: hours and weeks mean nothing here.
    VIEWED: a "want to read" mark, timed likewise by its row.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from shopgraph.ingest.cleaning import Sheet
from shopgraph.ingest.csv_file import read_csv
from shopgraph.ingest.tables import PATH_SEPARATOR, attribute_nodes, category_nodes, named_nodes, normalised, table
from shopgraph.privacy.pseudonym import Pseudonymiser
from shopgraph.records import Feed, Origin, Reject, SourceInfo

SOURCE = SourceInfo(
    name="goodbooks",
    title="Goodbooks: Goodreads books and ratings",
    currency="USD",
    terms=(
        "goodbooks-10k by Zygmunt Zając, CC BY-SA 4.0: name the source, share alike. Genres and series from DBpedia, "
        "CC BY-SA."
    ),
)
START = datetime(2017, 1, 1, tzinfo=UTC)
SHELVES_A_BOOK = 8
FEWEST_BOOKS_A_SHELF = 100
NOISE = (
    r"(?:^|-)(?:to-read|to-buy|buy|read|reads|unread|reading|re-?read|own(?:ed)?|bought|purchased|donated|my|mine|have"
    r"|want|need|favou?rites?|favs?|faves|wish-?list|library|kindle|nook|kobo|ibooks|amazon|overdrive|netgalley|arc"
    r"|e-?books?|audio(?:-?books?)?|audible|book-?club|borrowed|lendable|abandoned|dnf|finish|finished|unfinished|done"
    r"|gave-up|default|maybe|meh|misc|other|stars?|shelf|bookshelf|calibre|paperback|hardcover|books?|novels?|series"
    r"|school|english|general|tbr|challenge|list|\d{2,})(?:-|$)"
)
GENRES = (
    "fantasy", "science-fiction", "romance", "mystery", "thriller", "horror", "crime", "historical-fiction", "classics",
    "young-adult", "childrens", "graphic-novels", "manga", "poetry", "plays", "biography", "memoir", "history",
    "philosophy", "science", "business", "self-help", "religion", "travel", "humor", "non-fiction", "contemporary",
)  # fmt: skip


def read_goodbooks(folder: Path, pseudonymiser: Pseudonymiser, to_read: bool = True) -> Feed:
    """Read the folder.

    Args:
        to_read: whether "want to read" marks become views.

    Raises:
        InputError: a needed file is missing or can't be used.
    """
    books = read_csv(folder / "books.csv.gz", ("book_id", "authors", "title"))
    books.required("book_id")
    books.required("title")
    books.number("original_publication_year", whole=True)
    ids = books.unique("book_id")[books.good].reset_index(drop=True)
    shelves = _shelves(folder)
    attributes = _attributes(folder, books, shelves)
    authors = _authors(books)
    categories, tree, filed = _categories(ids, shelves)
    relations, origins, rejects = _behaviour(folder, pseudonymiser, to_read)
    users = sorted({user for relation in relations.values() for user in relation["start"].unique().to_pylist()})
    return Feed(
        source=SOURCE,
        nodes={
            "Product": _products(books),
            "Author": named_nodes("Author", authors["name"]),
            "Category": categories,
            "Attribute": attribute_nodes(attributes["end"]),
            "User": table("User", {"id": users}),
        },
        relations={
            "WRITTEN_BY": table("WRITTEN_BY", authors[["start", "end"]].drop_duplicates()),
            "IN_CATEGORY": filed,
            "CHILD_OF": tree,
            "HAS_ATTRIBUTE": attributes,
            **relations,
        },
        rejects=books.rejects + rejects,
        origins=origins,
        partial=bool(books.rejects),
    )


def _keys(ids: pd.Series) -> pd.Series:
    return SOURCE.name + ":" + ids


def _products(books: Sheet) -> pa.Table:
    cover = books.text("image_url")
    cover = cover.mask(cover.str.contains("nophoto"), "")
    columns = {"id": _keys(books.text("book_id")), "title": books.text("title"), "image": cover}
    return table("Product", {name: values[books.good] for name, values in columns.items()})


def _authors(books: Sheet) -> pd.DataFrame:
    names = books.text("authors")[books.good].str.split(r",\s*(?!Jr\.|Sr\.)", regex=True)
    pairs = pd.DataFrame({"start": _keys(books.text("book_id")[books.good]), "name": names}).explode("name")
    pairs = pairs[pairs["name"].fillna("") != ""]
    return pairs.assign(end=pairs["name"].map(normalised))


def _shelves(folder: Path) -> pd.DataFrame:
    """`book`, `shelf` and how many put it there, best first, noise left out."""
    tags = read_csv(folder / "tags.csv.gz", ("tag_id", "tag_name"))
    names = pd.Series(tags.text("tag_name").to_numpy(), index=tags.text("tag_id").to_numpy())
    put = read_csv(folder / "book_tags.csv.gz", ("book_id", "tag_id", "count"))
    rows = pd.DataFrame(
        {"book": put.text("book_id"), "shelf": put.text("tag_id").map(names), "count": put.number("count", minimum=0)}
    ).dropna()
    spread = rows.groupby("shelf")["book"].transform("nunique")
    good = names[~names.str.contains(NOISE, regex=True) & names.str.contains(r"[a-z]{3}", regex=True)]
    rows = rows[(spread >= FEWEST_BOOKS_A_SHELF) & rows["shelf"].isin(good)]
    rows = rows.sort_values(["book", "count", "shelf"], ascending=[True, False, True])
    return rows.groupby("book").head(SHELVES_A_BOOK).reset_index(drop=True)


def _attributes(folder: Path, books: Sheet, shelves: pd.DataFrame) -> pa.Table:
    ids = books.text("book_id")[books.good]
    parts = [pd.DataFrame({"book": shelves["book"], "end": "shelf=" + shelves["shelf"]})]
    if books.has("original_publication_year"):
        year = books.text("original_publication_year")[books.good].str.removesuffix(".0")
        parts.append(pd.DataFrame({"book": ids, "end": "year=" + year})[year != ""])
    if (folder / "book_dbpedia.csv.gz").exists():
        linked = read_csv(folder / "book_dbpedia.csv.gz", ("book_id", "genres", "book_series"))
        for column, key in (("genres", "genre"), ("book_series", "series")):
            values = linked.text(column)
            values = (
                (values.str.split(",") if key == "genre" else values.map(lambda name: [name])).explode().str.strip()
            )
            values = values[values != ""]
            parts.append(pd.DataFrame({"book": linked.text("book_id")[values.index], "end": f"{key}=" + values}))
    rows = pd.concat(parts)
    rows = rows[rows["book"].isin(ids)].drop_duplicates()
    return table("HAS_ATTRIBUTE", {"start": _keys(rows["book"]), "end": rows["end"]})


def _categories(ids: pd.Series, shelves: pd.DataFrame) -> tuple[pa.Table, pa.Table, pa.Table]:
    genre = shelves[shelves["shelf"].isin(GENRES)].groupby("book")["shelf"].first()
    genre = genre.combine_first(shelves[shelves["shelf"] == "fiction"].set_index("book")["shelf"])
    known = ids.map(genre).astype("string")  # all missing, they would be numbers
    named = (PATH_SEPARATOR + known.str.replace("-", " ").str.capitalize()).fillna("").astype(object)
    paths = "Books" + named
    nodes, tree = category_nodes(sorted(paths.unique()))
    return nodes, tree, table("IN_CATEGORY", {"start": _keys(ids), "end": paths})


def _behaviour(
    folder: Path, pseudonymiser: Pseudonymiser, to_read: bool
) -> tuple[dict[str, pa.Table], dict[str, Origin], list[Reject]]:
    sheets = [read_csv(folder / "ratings.csv.gz", ("user_id", "book_id", "rating"))]
    if (folder / "ratings_head.csv.gz").exists():
        sheets.append(read_csv(folder / "ratings_head.csv.gz", ("user_id", "book_id", "rating")))
    rated = pd.concat([_marks(sheet, rated=True) for sheet in sheets], ignore_index=True)
    read = {"RATED": rated}
    if to_read and (folder / "to_read.csv.gz").exists():
        sheets.append(read_csv(folder / "to_read.csv.gz", ("user_id", "book_id")))
        read["VIEWED"] = _marks(sheets[-1], rated=False)
    users = pd.unique(pd.concat([marks["user"] for marks in read.values()]))
    names = dict(zip(users, pseudonymiser.pseudonyms(SOURCE.name, users), strict=True))
    relations, origins = {}, {}
    for kind, marks in read.items():
        unique = marks.drop_duplicates(["user", "book"], ignore_index=True)
        relations[kind] = _relation(kind, unique, names)
        if unique["file"].nunique() == 1:
            origins[kind] = Origin(unique["file"].iat[0], pa.array(unique["line"], pa.int64()))
    return relations, origins, [reject for sheet in sheets for reject in sheet.rejects]


def _marks(sheet: Sheet, rated: bool) -> pd.DataFrame:
    columns = {"user": sheet.required("user_id"), "book": sheet.required("book_id")}
    if rated:
        columns["rating"] = sheet.number("rating", 1, 5)
        sheet.required("rating")
    return pd.DataFrame({**columns, "line": sheet.lines, "file": sheet.file})[sheet.good]


def _relation(kind: str, marks: pd.DataFrame, names: dict[str, str]) -> pa.Table:
    start = marks["user"].map(names)
    at = np.datetime64(START.replace(tzinfo=None), "ms") + np.arange(1, len(marks) + 1) * np.timedelta64(1, "s")
    columns = {
        "start": start,
        "end": _keys(marks["book"]),
        "line_id": f"{SOURCE.name}:{kind.lower()}:" + start + ":" + marks["book"],
        "at": pa.array(at, pa.timestamp("ms")).cast(pa.timestamp("ms", tz="UTC")),
    }
    if kind == "RATED":
        columns |= {"rating": marks["rating"], "text": [""] * len(marks)}
    return table(kind, columns)
