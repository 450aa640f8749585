"""The pass finds exactly the rows that break a rule: all of them, for any cut into shards."""

import datetime as dt
import itertools
import json
import math
import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.kit.contract_model import Column, Contract, Rule
from checks.rules import one_pass
from pipelines.run import contract_rules as stage
from provenance.rows.column_types import ARROW, ColumnSpec
from provenance.rows.shards import Shard, read_table, write_shard
from provenance.rows.snapshot import Snapshot

BIG = 2**53 + 1


@pytest.fixture
def judge(tmp_path):
    """Return a function from (values, rules) to the stage's findings as dicts."""

    def run(columns, rules, *, cuts=(), **settings):
        names = {name: kind for name, (kind, _) in columns.items()}
        table = pa.table({n: pa.array(v, ARROW[k]) for n, (k, v) in columns.items()})
        specs = tuple(Column(ColumnSpec(name, kind), **settings) for name, kind in names.items())
        contract = Contract("people", "1", "c.yaml", "0" * 64, specs, tuple(rules))
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        out = stage.evaluate(contract, snapshot_of(folder, table, cuts), folder).findings
        return read_table(out).to_pylist()

    return run


def snapshot_of(folder, table, cuts=()):
    ends = [0, *cuts, table.num_rows]
    refs = []
    for number, (start, end) in enumerate(itertools.pairwise(ends)):
        digests = np.zeros((end - start, 32), np.uint8)
        piece = table.slice(start, end - start)
        refs.append(write_shard(folder, Shard(number, piece, np.arange(start, end), digests)))
    return Snapshot(str(folder), table.num_rows, (), tuple(refs), (), None, None, None, ())


def rows(found, rule="r"):
    assert not [f for f in found if f["rule"] in ("ASSAY-K001", "ASSAY-K016")], found
    return [f["row"] for f in found if f["rule"] == rule]


def bound(kind, value, *, exclusive=False):
    return Rule("r", kind, "v", {"value": value, "exclusive": exclusive})


def regex(text):
    return Rule("r", "pattern", "v", {"regex": text})


def listed(kind, values):
    return Rule("r", kind, "v", {"values": values})


NAN = math.nan
ODD = ["it's", "%s", ":y", "\\"]
DAY = [dt.date(2020, 1, 1), dt.date(2020, 1, 2), None]
CASES = [
    # (type, values, rule, rows that break it); a missing cell breaks nothing but `required`
    ("integer", [1, 2, None], Rule("r", "required", "v", {}), [2]),
    ("integer", [1, 2, None, 1], Rule("r", "unique", "v", {}), [0, 3]),
    ("integer", [None, None, 1], Rule("r", "unique", "v", {}), []),
    ("integer", [4, 5, 6, None], bound("minimum", 5), [0]),
    ("integer", [4, 5, 6, None], bound("minimum", 5, exclusive=True), [0, 1]),
    ("integer", [4, 5, 6, None], bound("maximum", 5), [2]),
    ("integer", [4, 5, 6, None], bound("maximum", 5, exclusive=True), [1, 2]),
    ("integer", [4, 5, 6], bound("minimum", 4.5), [0]),
    ("integer", [BIG - 1, BIG, BIG + 1], bound("minimum", BIG), [0]),
    ("integer", [BIG - 1, BIG, BIG + 1], bound("maximum", BIG), [2]),
    ("integer", [-BIG - 1, -BIG], bound("minimum", -BIG), [0]),
    ("number", [1.0, NAN, None, -math.inf], bound("minimum", 0), [1, 3]),
    ("number", [1.0, NAN, None, math.inf], bound("maximum", 2), [1, 3]),
    ("number", [0.1, 0.2], bound("maximum", 0.1), [1]),
    ("number", [NAN, NAN, 1.0, None], Rule("r", "unique", "v", {}), [0, 1]),
    ("number", [NAN, 1.0, None], Rule("r", "validValues", "v", {"values": [1.0]}), [0]),
    ("date", DAY, bound("minimum", "2020-01-02"), [0]),
    ("date", DAY, Rule("r", "validValues", "v", {"values": ["2020-01-01"]}), [1]),
    (
        "timestamp",
        [dt.datetime(2020, 1, 1, 3, 4), dt.datetime(2020, 1, 1, 3, 5)],  # noqa: DTZ001
        bound("maximum", "2020-01-01T03:04:00"),
        [1],
    ),
    ("time", [dt.time(3), dt.time(4), None], bound("maximum", "03:30:00"), [1]),
    ("boolean", [True, False, None], Rule("r", "validValues", "v", {"values": [True]}), [1]),
    ("string", ["a", "", None], Rule("r", "required", "v", {}), [2]),
    ("string", ["ab", "abc", "", None], Rule("r", "minLength", "v", {"value": 1}), [2]),
    ("string", ["éé", "日本語", "🎉🎉🎉"], Rule("r", "maxLength", "v", {"value": 2}), [1, 2]),
    ("string", ["a1%", "b", "a\n1%", None], regex(r"^a\d%$"), [1, 2]),
    ("string", ["a:b", "a\\b"], regex(r"^a\\b$"), [0]),
    ("string", ["٣", "3"], regex(r"^\d$"), [0]),
    ("string", ["x", *ODD], listed("validValues", ODD), [0]),
    ("string", ["NA", "", "x", None], listed("missingValues", ["NA", ""]), [0, 1, 3]),
    ("string", ["x", "z", None], Rule("r", "label", "v", {"values": ["x"]}), [1, 2]),
    ("string", ["x", "z", None], Rule("r", "label", "v", {"values": None}), [2]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "values", "rule", "broken"), CASES)
def test_rows_that_break_a_rule(judge, kind, values, rule, broken):
    found = judge({"v": (kind, values)}, [rule])
    assert rows(found) == broken
    assert all(f["check"] == "contract" and f["column"] == "v" for f in found)


def test_many_rules_and_odd_names_take_several_words(judge):
    name = 'o"d %s :x; --'
    columns = {f"c{i}": ("integer", [i, 200]) for i in range(130)} | {name: ("string", ["a", "b"])}
    rules = [
        Rule(f"m{i}", "maximum", f"c{i}", {"value": 150, "exclusive": False}) for i in range(130)
    ]
    rules.append(Rule("odd", "validValues", name, {"values": ["a"]}))
    found = judge(columns, rules)
    assert rows(found, "odd") == [1]
    assert all(rows(found, f"m{i}") == [1] for i in range(130))


@pytest.mark.parametrize("cuts", [(), (1,), (2, 4)])
def test_an_order_is_that_of_the_rows_across_shards(judge, cuts):
    """A missing cell is left out of it; NaN is in no order."""
    values = [1.0, NAN, 2.0, None, 2.0, 1.5, 7.0]
    rules = [
        Rule("up", "expect_column_values_to_be_increasing", "v", {}),
        Rule("strict", "expect_column_values_to_be_increasing", "v", {"strictly": True}),
        Rule("down", "expect_column_values_to_be_decreasing", "v", {}),
    ]
    found = judge({"v": ("number", values)}, rules, cuts=cuts)
    assert [rows(found, rule.id) for rule in rules] == [[1, 5], [1, 4, 5], [1, 2, 6]]


ANY_NAME = ["colour\n(name)", "a\u3000b", "%(a)s", "a]b", 'say "a"', "x" * 300]


@pytest.mark.parametrize("name", ANY_NAME)
def test_a_column_may_have_any_name(judge, name):
    """Also beside another that differs in characters that no parameter of a query may hold."""
    alike = [name, name.translate({ord(char): "_" for char in "\n\u3000(]"}) + "_"]
    columns = {one: ("string", ["a", "b"]) for one in (*alike, "x y", "x.y", "x[y")}
    found = judge(columns, [Rule(f"r {n}", "validValues", n, {"values": ["a"]}) for n in columns])
    assert [rows(found, f"r {one}") for one in columns] == [[1]] * len(columns)


@pytest.mark.parametrize("name", ANY_NAME)
def test_a_key_may_have_any_name(judge, name):
    kinds = ("unique", "required")
    found = judge({name: ("string", ["a", "a", None])}, [Rule(k, k, name, {}) for k in kinds])
    assert [rows(found, kind) for kind in kinds] == [[0, 1], [2]]


def test_a_rule_that_fails_takes_no_other_along(judge):
    """A pattern on numbers: DuckDB refuses the query, and its transaction with it."""
    columns = {"n": ("integer", [1, 9]), "v": ("string", ["a", "b"])}
    odd = Rule("odd", "pattern", "n", {"regex": "^a$"})
    found = judge(columns, [odd, listed("validValues", ["a"])])
    assert [f["row"] for f in found if f["rule"] == "r"] == [1]
    assert [f["column"] for f in found if f["rule"] == "ASSAY-K001"] == ["n"]


def test_a_column_may_have_the_name_of_any_keyword(judge):
    import duckdb

    query = "SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category <> 'unreserved'"
    words = sorted({row[0] for row in duckdb.sql(query).fetchall()})
    assert {"at", "qualify", "select"} <= set(words)
    columns = {word: ("integer", [1, 200]) for word in words}
    at_most = {"value": 150, "exclusive": False}
    found = judge(columns, [Rule(f"m {word}", "maximum", word, at_most) for word in words])
    assert [word for word in words if rows(found, f"m {word}") != [1]] == []
    rules = [Rule("r", "unique", "at", {}), Rule("q", "required", "qualify", {})]
    columns = {"at": ("integer", [1, 1, 2]), "qualify": ("string", ["a", None, "b"])}
    found = judge(columns, [*rules, Rule("p", "pattern", "qualify", {"regex": "^a"})])
    assert (rows(found), rows(found, "q"), rows(found, "p")) == ([0, 1], [1], [2])


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_findings_are_equal_for_any_cut_into_shards(tmp_path_factory, data):
    values = data.draw(st.lists(st.one_of(st.none(), st.integers(-3, 3)), min_size=1, max_size=12))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=3)))
    table = pa.table({"v": pa.array(values, pa.int64())})
    rules = (Rule("u", "unique", "v", {}), bound("minimum", 0), Rule("n", "required", "v", {}))
    contract = Contract("p", "1", "c", "0" * 64, (Column(ColumnSpec("v", "integer")),), rules)
    tables = []
    for where in ((), cuts):
        folder = tmp_path_factory.mktemp("cut")
        tables.append(
            read_table(stage.evaluate(contract, snapshot_of(folder, table, where), folder).findings)
        )
    assert tables[0].equals(tables[1])
    got = {(f["rule"], f["row"]) for f in tables[0].to_pylist()}
    want = {("n", i) for i, v in enumerate(values) if v is None}
    want |= {("r", i) for i, v in enumerate(values) if v is not None and v < 0}
    want |= {("u", i) for i, v in enumerate(values) if v is not None and values.count(v) > 1}
    assert got == want


def test_composite_keys(judge):
    rule = Rule("r", "unique", None, {"columns": ["a", "b"]})
    columns = {
        "a": ("integer", [1, 1, 1, None, None]),
        "b": ("string", ["x", "x", "y", None, None]),
    }
    found = judge(columns, [rule])
    assert rows(found) == [0, 1]
    assert found[0]["column"] == "a, b"


TEN = [None, None, 3, 3, 5, 6, 7, 8, 9, 10]
OVERALL = [
    ("nullValues", {"op": "mustBeLessThan", "value": 3}, "rows", True),
    ("nullValues", {"op": "mustBeLessThan", "value": 2}, "rows", False),
    ("nullValues", {"op": "mustBeLessThan", "value": 21}, "percent", True),
    ("nullValues", {"op": "mustBeLessThan", "value": 20}, "percent", False),
    ("unique", {"op": "mustBe", "value": 2}, "rows", True),
    ("unique", {"op": "mustBeLessThan", "value": 2}, "rows", False),
]


@pytest.mark.parametrize(("kind", "limit", "unit", "kept"), OVERALL)
def test_a_bound_other_than_zero_speaks_of_the_dataset(judge, kind, limit, unit, kept):
    found = judge({"v": ("integer", TEN)}, [Rule("r", kind, "v", {"bound": limit, "unit": unit})])
    assert rows(found) == ([] if kept else [None])
    assert kept or "must be less than" in found[0]["evidence"]


@pytest.mark.parametrize(("limit", "kept"), [(10, True), (11, False)])
def test_row_counts(judge, limit, kept):
    count = {"bound": {"op": "mustBeGreaterOrEqualTo", "value": limit}}
    found = judge({"v": ("integer", TEN)}, [Rule("r", "rowCount", None, count, "warning")])
    assert rows(found) == ([] if kept else [None])
    assert kept or found[0]["severity"] == "warning"


def sql(query, **limit):
    ((operator, value),) = limit.items()
    bounds = {"op": operator, "value": value}
    return Rule("r", "sql", None, {"query": query, "table": "people", "bound": bounds})


def test_sql_rules(judge):
    columns = {"v": ("integer", TEN)}
    assert rows(judge(columns, [sql('SELECT count(*) FROM "people"', mustBe=10)])) == []
    found = judge(columns, [sql('SELECT count(*) FROM "people"', mustBe=9)])
    assert rows(found) == [None]
    assert "is 10; it must be 9" in found[0]["evidence"]
    # a maximum is one row's cell, so it is not shown
    assert "10" not in judge(columns, [sql('SELECT max(v) FROM "people"', mustBe=9)])[0]["evidence"]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT v FROM people",
        "SELECT 'x' FROM people LIMIT 1",
        "SELECT avg(v) FROM people WHERE false",
        "SELECT CAST('x' AS INTEGER) FROM people",
        "SELECT count(*) FROM read_text('/etc/passwd')",
    ],
)
def test_a_rule_that_cannot_be_evaluated_is_an_error_of_the_dataset(judge, query):
    (found,) = judge({"v": ("integer", TEN)}, [sql(query, mustBe=0)])
    assert (found["rule"], found["row"], found["severity"]) == ("ASSAY-K001", None, "error")
    assert "'r'" in found["evidence"]
    assert "passwd" not in found["evidence"]


def test_an_endless_sql_rule_is_interrupted(tmp_path):
    query = "SELECT count(*) FROM range(1000000) a, range(1000000) b, range(1000000) c WHERE a <> b"
    contract = Contract("p", "1", "c", "0" * 64, (Column(ColumnSpec("v", "integer")),), ())
    with (
        one_pass.opened(contract, [], tmp_path, one_pass.Budget()) as connection,
        pytest.raises(TimeoutError),
    ):
        one_pass.number_of(connection, query, 0.3)


def test_the_connection_reaches_nothing_but_the_shards(tmp_path):
    import duckdb

    (tmp_path / "secret.csv").write_text("a\n1\n")
    spill = tmp_path / "spill"
    spill.mkdir()
    contract = Contract("p", "1", "c", "0" * 64, (Column(ColumnSpec("v", "integer")),), ())
    with one_pass.opened(contract, [], spill, one_pass.Budget()) as connection:
        for query in (
            f"FROM '{tmp_path / 'secret.csv'}'",
            f"COPY (SELECT 1) TO '{tmp_path / 'out.csv'}'",
            f"ATTACH '{tmp_path / 'x.db'}'",
            "INSTALL httpfs",
            "SET enable_external_access = true",
        ):
            with pytest.raises(duckdb.Error):
                connection.execute(query)


def test_a_condition_that_fails_does_not_hide_the_others(tmp_path):
    table = pa.table({"v": pa.array(["1", "x"])})
    snap = snapshot_of(tmp_path, table)
    contract = Contract("p", "1", "c", "0" * 64, (Column(ColumnSpec("v", "string")),), ())
    with one_pass.opened(
        contract, [snap.shards[0].path], tmp_path, one_pass.Budget()
    ) as connection:
        conditions = {0: "CAST(v AS INTEGER) > 0", 1: "v = 'x'"}
        found, failed = one_pass.offending_each(connection, conditions)
    assert list(found[1]) == [1]
    assert list(failed) == [0]


@pytest.mark.parametrize("shards", [0, 1])
def test_no_rows_break_no_row_rule(tmp_path, shards):
    spec = Column(ColumnSpec("v", "integer"))
    rules = (Rule("r", "required", "v", {}), Rule("u", "unique", "v", {}), bound("minimum", 3))
    contract = Contract("p", "1", "c", "0" * 64, (spec,), rules)
    snap = snapshot_of(tmp_path, pa.table({"v": pa.array([], pa.int64())}))
    if not shards:
        snap = Snapshot(str(tmp_path), 0, (), (), (), None, None, None, ())
    assert read_table(stage.evaluate(contract, snap, tmp_path).findings).num_rows == 0


def test_what_is_left_behind_may_be_mailed(judge, tmp_path):
    person = "Jane-Roe-4711"
    rules = [
        Rule("p", "pattern", "v", {"regex": "^x$"}),
        Rule("u", "unique", "v", {}),
        Rule("max", "expect_column_max_to_be_between", "v", {"max_value": "2020-01-01"}),
        Rule("common", "expect_column_most_common_value_to_be_in_set", "v", {"value_set": ["q"]}),
        Rule("set", "expect_column_distinct_values_to_be_in_set", "v", {"value_set": ["q"]}),
        Rule("<img src=x onerror=alert(1)>", "maxLength", "v", {"value": 3}),
    ]
    judge({"v": ("string", [person, person, "x"])}, rules)
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".parquet"]
    names = sorted(str(path.relative_to(tmp_path / "0" / "expectations")) for path in files)
    assert names == ["data_docs/index.html", "data_docs/suite.html", "result.json", "suite.json"]
    for path in files:
        text = path.read_text()
        assert person not in text
        if path.suffix == ".html":
            assert not re.search(
                r"<(script|link|img|iframe)\b|\b(src|href)\s*=", text, re.IGNORECASE
            )
            assert "default-src 'none'" in text
    result = json.loads((tmp_path / "0" / "expectations" / "result.json").read_text())
    assert result["success"] is False
    assert [r["result"].get("unexpected_count") for r in result["results"]][:2] == [2, 2]
