# ruff: noqa: E501, S608  its SQL is never run
"""What a contract may hand to the engine is an allow-list, looked at in a process with limits."""

import sys

import pytest

from checks.contract import query_guard, sql_allow_list
from checks.contract.node import Node
from provenance.base.errors import AssayError

# words of SQL's grammar that DuckDB keeps no function for
OF_THE_GRAMMAR = {"->", "coalesce", "grouping", "grouping_id", "if", "iff", "ifnull"}
# what must never be on the list: the outside, the clock's idleness, the engine's own insides
NEVER = """
    getenv getvariable current_setting query query_table read_csv read_text read_blob read_parquet
    read_json glob sniff_csv parquet_scan sleep_ms pg_sleep write_log nextval random uuid setseed
    error stats version current_user current_database duckdb_settings duckdb_secrets which_secret
    json_execute_serialized_sql json_serialize_plan repeat lpad rpad list_resize range
    generate_series printf format current_query txid_current enum_range pragma_table_info
"""


@pytest.fixture
def asked():
    def ask(*texts, kind="query"):
        found = query_guard.Guard("people", {"age": "integer", "name": "string"})
        for line, text in enumerate(texts, 1):
            node = Node(text, "c.yaml", line, 1)
            found.query(node, None) if kind == "query" else found.pattern(node, "pattern")
        found.settle()

    return ask


def test_the_list_of_functions_is_the_engines_and_harmless():
    import duckdb

    rows = duckdb.execute(
        "SELECT function_name, function_type, stability, has_side_effects FROM duckdb_functions()"
    ).fetchall()
    engine = {row[0] for row in rows}
    assert sql_allow_list.FUNCTIONS - engine <= OF_THE_GRAMMAR
    assert not sql_allow_list.FUNCTIONS & set(NEVER.split())
    for name, kind, stability, has_effects in rows:
        if name in sql_allow_list.FUNCTIONS and kind in ("scalar", "aggregate", "window"):
            assert stability != "VOLATILE", name
            assert not has_effects, name


def test_what_a_trusted_process_has_inspected_counts_for_the_same_items_alone():
    def guard(text, types):
        made = query_guard.Guard("people", types)
        made.query(Node(text, "c.yaml", 1, 1), None)
        return made

    types, text = {"age": "integer", "name": "string"}, "SELECT max(age) FROM people"
    digest = guard(text, types).settle()
    assert digest == guard(text, types).settle(digest)
    for other, columns in (("SELECT getenv('HOME')", types), (text, {"name": "string"})):
        with pytest.raises(AssayError, match=r"C00[79]"):
            guard(other, columns).settle(digest)


def test_all_items_are_looked_at_and_the_first_wrong_one_is_named(asked):
    asked(*["SELECT count(*) FROM people"] * 50)
    with pytest.raises(AssayError, match="getenv") as caught:
        asked(*["SELECT 1"] * 30, "SELECT getenv('HOME')", "SELECT 1; SELECT 2")
    assert caught.value.where == "c.yaml:31:1"
    with pytest.raises(AssayError, match="RE2") as caught:
        asked(*["^a+$"] * 99, "(?=x)", kind="pattern")
    assert (caught.value.code, caught.value.where) == ("ASSAY-C006", "c.yaml:100:1")


BOMBS = {
    "between": lambda e: f"(({e}) BETWEEN 1 AND 2)::INT",
    "nullif": lambda e: f"nullif({e}, 1)",
    "remainder": lambda e: f"fmod({e}, 2)",
}


@pytest.mark.long
@pytest.mark.parametrize("name", BOMBS)
def test_a_query_that_would_keep_the_parser_busy_is_refused(asked, name):
    text = "age"
    for _ in range(22):
        text = BOMBS[name](text)
    with pytest.raises(AssayError) as caught:
        asked("SELECT 1", f"SELECT sum({text}) FROM people")
    assert (caught.value.code, caught.value.where) == ("ASSAY-C009", "c.yaml:2:1")


@pytest.mark.long
def test_with_clauses_that_double_and_lambdas_are_refused(asked):
    parts = ["c0 AS (SELECT * FROM people)"]
    parts += [f"c{n} AS (SELECT * FROM c{n - 1} a, c{n - 1} b)" for n in range(1, 25)]
    nested = "list_transform([1], lambda x: " * 60 + "1" + ")" * 60
    lateral = "".join(f", LATERAL (SELECT a{n}.age + 1 AS age) a{n + 1}" for n in range(90))
    for text in (
        f"WITH {', '.join(parts)} SELECT count(*) FROM c24",
        f"SELECT len({nested})",
        f"SELECT count(*) FROM people a0{lateral}",
    ):
        with pytest.raises(AssayError) as caught:
            asked(text)
        assert caught.value.code == "ASSAY-C009"


@pytest.mark.long
def test_a_pattern_by_pattern_attack_runs_out_of_time(asked):
    with pytest.raises(AssayError, match="too much time") as caught:
        asked(*[f"\\pL{{{n}}}" for n in range(300, 360)], kind="pattern")
    assert caught.value.code == "ASSAY-C006"


@pytest.mark.parametrize("program", ["/bin/false", "/nonexistent"])
def test_patterns_that_nobody_looked_at_are_not_let_by(asked, monkeypatch, program):
    monkeypatch.setattr(sys, "executable", program)
    with pytest.raises(AssayError) as caught:
        asked("^a$", kind="pattern")
    assert caught.value.code == "ASSAY-E005"


def test_honest_queries_are_taken(asked):
    asked(
        "SELECT avg(age) FROM people",
        "SELECT count(*) FILTER (WHERE age > 3 AND name ILIKE 'a%') * 1.0 / count(*) FROM people",
        "SELECT max(n) FROM (SELECT count(*) OVER (PARTITION BY name) AS n FROM people) t",
        "SELECT count(DISTINCT lower(trim(name))) FROM people WHERE age BETWEEN 1 AND 9",
        "SELECT quantile_cont(age, 0.5) - median(age) FROM people",
        "SELECT CASE WHEN count(*) > 3 THEN 1 ELSE 0 END FROM people",
        "SELECT count(*) FROM people a WHERE EXISTS (SELECT 1 FROM people b WHERE b.age > a.age)",
        "SELECT sum(CAST(regexp_matches(name, '^a') AS INT)) FROM people",
        "SELECT count(*) FROM people GROUP BY ALL HAVING count(*) > 1 ORDER BY 1 LIMIT 1",
        "SELECT list_sum(list_transform(list(age), lambda x: x + 1)) FROM people",
        "SELECT try_strptime(any_value(name), '%Y') IS NULL FROM people",
        "WITH RECURSIVE r AS (SELECT 1 n UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT sum(n) FROM r",
    )
