"""Reads `<purpose>/<name>.cypher`, checks each header against its text, and hands the queries out by name.

A file begins with four header lines, then a sentence or two that become the query's docstring, then the text:

    // name: popular_lately
    // mode: read
    // params: as_of, limit
    // returns: items, scores
    // Products bought by the most users in the four weeks before `as_of`.
    CYPHER 25
    MATCH ...
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
MIGRATIONS = HERE / "migrations"
MODES = ("read", "write", "schema")

_HEADER = ("name", "mode", "params", "returns")
_LINE = re.compile(r"//\s*(\w+):\s*(.*?)\s*$")
_COMMENT = re.compile(r"^\s*//(?:\s(.*))?$")
_STRING_OR_COMMENT = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|//[^\n]*|/\*.*?\*/", re.DOTALL)
_PARAMETER = re.compile(r"\$(?!(?:any|all)\()(\w+)")  # `$any($labels)` is Cypher's own word, not a parameter
_WRITES = re.compile(r"\b(CREATE|INSERT|MERGE|SET|DELETE|REMOVE|DROP|FOREACH|LOAD\s+CSV)\b", re.IGNORECASE)
_SCHEMA = re.compile(r"\b(CREATE|DROP|ALTER)\b.*\b(INDEX|CONSTRAINT|DATABASE)\b", re.IGNORECASE | re.DOTALL)
_RETURN = re.compile(r"\bRETURN\b", re.IGNORECASE)
_TAIL = re.compile(r"\b(ORDER\s+BY|SKIP|LIMIT|UNION)\b", re.IGNORECASE)
_ALIAS = re.compile(r"(?:\bAS\s+|^)`?(\w+)`?\s*$", re.IGNORECASE)


class QueryFileError(ValueError):
    """A query file that breaks a rule; the message names the file and the rule."""


@dataclass(frozen=True)
class Query:
    """One named query: its text is sent as it stands, values always travel as parameters."""

    name: str
    mode: str
    params: tuple[str, ...]
    returns: tuple[str, ...]
    doc: str
    text: str
    purpose: str
    path: Path

    @property
    def own(self) -> bool:
        """Whether it is of a shop's own folder."""
        return HERE not in self.path.parents


class QueryCatalogue(Mapping[str, Query]):
    """All queries by name."""

    def __init__(self, queries: Mapping[str, Query]) -> None:
        self._queries = dict(queries)

    def __getitem__(self, name: str) -> Query:
        try:
            return self._queries[name]
        except KeyError:
            raise KeyError(f"no query file is named {name!r}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._queries)

    def __len__(self) -> int:
        return len(self._queries)

    def of_purpose(self, purpose: str) -> list[Query]:
        return [query for query in self._queries.values() if query.purpose == purpose]


def load_queries(extra: Path | None = None) -> QueryCatalogue:
    """Load the packaged queries, and a shop's own folder, whose files may only read and may replace nothing."""
    queries: dict[str, Query] = {}
    for path in sorted(HERE.glob("*/*.cypher")):
        if path.parent != MIGRATIONS:
            _add(queries, parse_query(path))
    if extra is not None:
        if not extra.is_dir():
            raise QueryFileError(f"{extra}: the folder of own queries does not exist")
        for path in sorted(extra.rglob("*.cypher")):
            query = parse_query(path)
            if query.mode != "read":
                raise QueryFileError(f"{path}: an own query must be in mode read, not {query.mode}")
            _add(queries, query)
    return QueryCatalogue(queries)


def _add(queries: dict[str, Query], query: Query) -> None:
    if query.name in queries:
        raise QueryFileError(f"{query.path}: the name {query.name!r} is taken by {queries[query.name].path}")
    queries[query.name] = query


def parse_query(path: Path) -> Query:
    """Read one file and check its header against its text.

    Raises:
        QueryFileError: a missing or unknown header line, or a header that says other than the text does.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    header = _read_header(path, lines)
    body_start = next((i for i, line in enumerate(lines) if line.strip() and not _COMMENT.match(line)), len(lines))
    doc = " ".join(line.strip().removeprefix("//").strip() for line in lines[len(_HEADER) : body_start]).strip()
    text = "\n".join(lines[body_start:]).strip()
    query = Query(
        name=header["name"],
        mode=header["mode"],
        params=_names(header["params"]),
        returns=_names(header["returns"]),
        doc=doc,
        text=text,
        purpose=path.parent.name,
        path=path,
    )
    _check(query)
    return query


def _read_header(path: Path, lines: list[str]) -> dict[str, str]:
    header: dict[str, str] = {}
    for number, expected in enumerate(_HEADER):
        match = _LINE.match(lines[number]) if number < len(lines) else None
        if match is None or match.group(1) != expected:
            raise QueryFileError(f"{path}:{number + 1}: expected the header line '// {expected}: ...'")
        header[expected] = match.group(2)
    return header


def _names(text: str) -> tuple[str, ...]:
    return () if text in ("", "-") else tuple(part.strip() for part in text.split(","))


def _check(query: Query) -> None:
    def refuse(reason: str) -> None:
        raise QueryFileError(f"{query.path}: {reason}")

    bare = _STRING_OR_COMMENT.sub(" ", query.text)
    if query.name != query.path.stem:
        refuse(f"the header's name {query.name!r} is not the file's name")
    if query.mode not in MODES:
        refuse(f"mode {query.mode!r} is not one of {', '.join(MODES)}")
    if not query.doc:
        refuse("a sentence that says what the query does is missing after the header")
    if not query.text.startswith("CYPHER 25"):
        refuse("the text must begin with CYPHER 25: a server's default language may be older")
    used, declared = set(_PARAMETER.findall(bare)), set(query.params)
    if used != declared:
        refuse(f"params declares {sorted(declared)} but the text uses {sorted(used)}")
    found = _returned(bare)
    if found != query.returns:
        refuse(f"returns declares {list(query.returns)} but the text returns {list(found)}")
    written = _WRITES.search(bare)
    if query.mode == "read" and written:
        refuse(f"mode is read but the text has {written.group(1).upper()}")
    if query.mode == "write" and _SCHEMA.search(bare):
        refuse("mode is write but the text changes the schema")


def _returned(bare: str) -> tuple[str, ...]:
    """The column names of the last RETURN that stands outside every bracket."""
    start = None
    for match in _RETURN.finditer(bare):
        if _depth(bare[: match.start()]) == 0:
            start = match.end()
    if start is None:
        return ()
    tail = _top_level_cut(bare[start:])
    columns = []
    for column in _split_top_level(re.sub(r"^\s*DISTINCT\b", "", tail, flags=re.IGNORECASE)):
        alias = _ALIAS.search(column.strip())
        columns.append(alias.group(1) if alias else column.strip())
    return tuple(columns)


def _depth(text: str) -> int:
    return sum(text.count(c) for c in "([{") - sum(text.count(c) for c in ")]}")


def _top_level_cut(text: str) -> str:
    for match in _TAIL.finditer(text):
        if _depth(text[: match.start()]) == 0:
            return text[: match.start()]
    return text


def _split_top_level(text: str) -> Iterator[str]:
    depth, current = 0, ""
    for character in text.rstrip().rstrip(";"):
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            yield current
            current = ""
        else:
            current += character
    if current.strip():
        yield current
