"""A query file's header may not say other than its text does: each kind of drift is refused by name."""

from pathlib import Path

import pytest

from shopgraph.settings import load_settings
from shopgraph_cypher import load_queries
from shopgraph_cypher.loader import QueryFileError, parse_query

GOOD = """\
// name: by_brand
// mode: read
// params: brand, limit
// returns: ids, names
// Products of a brand.
CYPHER 25
MATCH (b:Brand {id: $brand})<-[:MADE_BY]-(p:Product)
WITH p, 'not a $parameter, nor a CREATE' AS said // nor is $this
ORDER BY p.id LIMIT $limit
CALL (p) { MATCH (p)-[:IN_CATEGORY]->(c) RETURN count(c) AS inner }
RETURN collect(p.id) AS ids, [x IN collect(p {.title, said: said}) | x.title] AS names
"""


def write(folder: Path, text: str, name: str = "by_brand") -> Path:
    path = folder / f"{name}.cypher"
    path.write_text(text)
    return path


def test_dynamic_labels_are_not_parameters(tmp_path: Path) -> None:
    text = GOOD.replace("(b:Brand {", "(b:$any($labels) {").replace("brand, limit", "brand, labels, limit")
    assert parse_query(write(tmp_path, text)).params == ("brand", "labels", "limit")


def test_a_sound_file_is_read(tmp_path: Path) -> None:
    query = parse_query(write(tmp_path, GOOD))
    assert (query.name, query.mode, query.doc) == ("by_brand", "read", "Products of a brand.")
    assert (query.params, query.returns) == (("brand", "limit"), ("ids", "names"))
    assert query.text.startswith("CYPHER 25\nMATCH")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("// mode: read\n", "", r"by_brand.cypher:2: expected the header line '// mode: ...'"),
        ("// name: by_brand", "// name: other", "the header's name 'other' is not the file's name"),
        ("mode: read", "mode: browse", "mode 'browse' is not one of read, write, schema"),
        ("brand, limit\n", "brand\n", r"params declares \['brand'\] but the text uses \['brand', 'limit'\]"),
        ("brand, limit\n", "brand, limit, as_of\n", "params declares"),
        ("ids, names\n", "ids\n", r"returns declares \['ids'\] but the text returns \['ids', 'names'\]"),
        ("ids, names\n", "names, ids\n", "returns declares"),
        ("AS names\n", "AS titles\n", "returns declares"),
        ("// Products of a brand.\n", "", "a sentence that says what the query does is missing"),
        ("CYPHER 25\n", "", "the text must begin with CYPHER 25"),
        ("ORDER BY p.id", "SET p.seen = true WITH p, said ORDER BY p.id", "mode is read but the text has SET"),
        ("ORDER BY p.id", "CREATE (:Trace) WITH p, said ORDER BY p.id", "mode is read but the text has CREATE"),
        ("CYPHER 25\n", "CYPHER 25\nLOAD CSV FROM 'http://x' AS row\n", "mode is read but the text has LOAD CSV"),
    ],
)
def test_drift_is_refused(tmp_path: Path, old: str, new: str, reason: str) -> None:
    assert old in GOOD
    with pytest.raises(QueryFileError, match=reason):
        parse_query(write(tmp_path, GOOD.replace(old, new, 1)))


def test_a_write_may_not_change_the_schema(tmp_path: Path) -> None:
    text = "// name: q\n// mode: write\n// params: -\n// returns: -\n// Says.\nCYPHER 25 DROP INDEX old IF EXISTS\n"
    with pytest.raises(QueryFileError, match="mode is write but the text changes the schema"):
        parse_query(write(tmp_path, text, "q"))


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("RETURN DISTINCT p.id AS id ORDER BY id SKIP 1 LIMIT 2", "id"),
        ("RETURN {a: 1, b: [2, 3]} AS map, count(*) AS n;", "map, n"),
        ("RETURN 1 AS id UNION RETURN 2 AS id", "id"),
        ("WITH 1 AS x RETURN x", "x"),
        ("FINISH", "-"),
    ],
)
def test_the_returned_columns_are_found(tmp_path: Path, text: str, columns: str) -> None:
    header = f"// name: q\n// mode: read\n// params: -\n// returns: {columns}\n// Says.\n"
    query = parse_query(write(tmp_path, f"{header}CYPHER 25 {text}\n", "q"))
    assert ", ".join(query.returns) == columns.replace("-", "")


def test_a_shops_own_queries_only_read_and_replace_nothing(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    assert load_queries(tmp_path)["by_brand"].purpose == tmp_path.name
    write(tmp_path, GOOD.replace("by_brand", "run_detail"), "run_detail")
    with pytest.raises(QueryFileError, match="the name 'run_detail' is taken by"):
        load_queries(tmp_path)
    write(tmp_path, GOOD.replace("by_brand", "run_detail").replace("mode: read", "mode: write"), "run_detail")
    with pytest.raises(QueryFileError, match="an own query must be in mode read, not write"):
        load_queries(tmp_path)
    with pytest.raises(QueryFileError, match="does not exist"):
        load_queries(tmp_path / "nowhere")


def test_the_catalogue_is_read_by_name_and_by_purpose() -> None:
    queries = load_queries()
    assert len(queries) == len(list(queries)) > 20
    assert "run_begin" in [query.name for query in queries.of_purpose("tracking")]
    with pytest.raises(KeyError, match="no query file is named 'nothing'"):
        queries["nothing"]


def test_an_empty_variable_names_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """As containers set those that nobody set; the working folder is nobody's."""
    monkeypatch.setenv("SHOPGRAPH_CYPHER_PATH", "")
    assert load_settings().cypher_path is None
