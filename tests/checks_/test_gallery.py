"""Great Expectations' core: each is refused with a code, or means what it means in pandas.

Small tables, right and wrong ones, with missing cells. Three things differ on purpose, and
docs/contract.md says so: a text that is no JSON breaks a JSON Schema, where the library ends the
rule with an exception; names of types; and a pair of which one is missing breaks no comparison.
"""

import datetime as dt
import json
from collections import defaultdict

import numpy as np
import pyarrow as pa
import pytest

from checks.contract import expectation_gallery, loader, type_names
from checks.kit.contract_model import Contract
from pipelines.run.contract_rules import evaluate
from provenance.base.errors import AssayError
from provenance.rows.column_types import ARROW
from provenance.rows.shards import Shard, read_table, write_shard
from provenance.rows.snapshot import Snapshot

N = None
ENDS = ("min_value", "max_value")
DAY = dt.date(2024, 1, 1)
DAYS = [DAY + dt.timedelta(days=days) for days in (0, 3, 3, 9, 11, 40)]
TIMES = [dt.datetime.combine(day, dt.time(7, 30)) for day in DAYS]
COLUMNS = {
    "up": ("integer", [1, 2, N, 2, 5, 9]),
    "strict": ("integer", [1, 2, N, 3, 5, 9]),
    "zigzag": ("number", [3.5, 1.0, N, 2.0, 2.0, -4.25]),
    "down": ("number", [9.0, N, 8.0, 8.0, 1.5, 0.0]),
    "far": ("number", [1.0, 2.0, 1.5, N, 2.5, 90.0]),
    "same": ("integer", [1, 2, N, 2, 5, 9]),
    "empty": ("number", [N] * 6),
    "key": ("string", ["a", "b", "c", "d", "e", "f"]),
    "word": ("string", ["ab", "abc", N, "ab", "", "b%"]),
    "json": ("string", ['{"a": 1}', "[1, NaN]", N, '{"a": "x"}', "{}", "-Infinity"]),
    "broken": ("string", ["{", "[1,]", N, "{'a': 1}", "", '"\ud7ff"']),
    "iso": ("string", ["2024-01-31", "2024-02-29", N, "2023-12-01", "1999-01-01", "2024-1-5"]),
    "odd": ("string", ["31/02/2024", "2024-02-30", N, "x", "", "2024-01-01 "]),
    "spoken": ("string", ["1 Jan 2024", "noon", N, "Monday", "12:30", "2024W011"]),
    "flag": ("boolean", [True, False, N, True, True, True]),
    "day": ("date", [*DAYS[:2], N, *DAYS[3:]]),
    "moment": ("timestamp", [*TIMES[:4], N, TIMES[5]]),
    "noon": ("time", [dt.time(hour) for hour in (1, 3, 3, 12, 13)] + [N]),
}  # fmt: skip


def kind(name):
    return f"expect_{name}"


def ranged(*pairs, low="min_value", high="max_value"):
    return [{k: v for k, v in ((low, a), (high, b)) if v is not N} for a, b in pairs]


def each(columns, *arguments):
    return [{"column": name, **given} for name in columns.split() for given in arguments or ({},)]


NUMBERS = "up zigzag far"
SHARES = ((0.9, 1), (N, 0.9), (0.8, N))
SET = {"value_set": ["ab", "abc", "", "b%"]}
PAIRS = ({}, {"ignore_row_if": "either_value_is_missing"}, {"mostly": 0.5})
ROWS = ({}, {"ignore_row_if": "any_value_is_missing"}, {"ignore_row_if": "never"})
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
LIKE = {"like_pattern": "ab%"}
PARTS = {"bins": [0, 2, 4, 10], "weights": [0.2, 0.5, 0.3]}
WORDS = {"values": ["ab", "abc", "", "b%"], "weights": [0.4, 0.2, 0.2, 0.2]}
STATS = each(NUMBERS, *ranged((0, 4), (2, N), (N, 3.6), (50, 90)))
CASES = {
    "column_distinct_values_to_be_in_set": each("word", SET, {"value_set": ["ab"]}),
    "column_distinct_values_to_contain_set": each("word", SET, {"value_set": ["ab", "q"]}),
    "column_distinct_values_to_equal_set": each("word", SET, {"value_set": ["ab"]}),
    "column_kl_divergence_to_be_less_than": [
        {"column": "far", "partition_object": PARTS, "threshold": 0.1},
        {"column": "word", "partition_object": WORDS, "threshold": 0.1},
        {"column": "word", "partition_object": WORDS, "threshold": 0.0},
    ],
    "column_max_to_be_between": [
        *STATS,
        *each("empty", {"min_value": 1}),
        *each("up", {"max_value": 9, "strict_max": True}, {"max_value": 9}),
        *each("moment", *ranged(("2024-01-01T00:00:00", "2024-03-01"), ("2024-03-01", N))),
    ],
    "column_mean_to_be_between": [*STATS, *each("empty", {"min_value": 1})],
    "column_median_to_be_between": [
        *STATS,
        *each("empty", {"min_value": 1}),
        *each("moment", *ranged(("2024-01-04", "2024-01-05"), (N, "2024-01-04T07:29:59"))),
    ],
    "column_min_to_be_between": [
        *STATS,
        *each("moment", *ranged(("2024-01-01", "2024-03-01"), (N, "2023-12-31"))),
    ],
    "column_most_common_value_to_be_in_set": each("word", {"value_set": ["ab"]})
    + each("up", {"value_set": [2]}, {"value_set": [1]}),
    "column_pair_values_a_to_be_greater_than_b": [
        {"column_A": "strict", "column_B": "up", **more} for more in (*PAIRS, {"or_equal": True})
    ]
    + [{"column_A": "far", "column_B": "zigzag", **PAIRS[1]}],
    "column_pair_values_to_be_equal": [
        {"column_A": "up", "column_B": b, **more}
        for b in ("same", "strict", "far")
        for more in PAIRS
    ],
    "column_pair_values_to_be_in_set": [
        {"column_A": "up", "column_B": "strict", "value_pairs_set": pairs, **PAIRS[1]}
        for pairs in ([[1, 1], [2, 2], [2, 3], [5, 5], [9, 9]], [[1, 1], [2, 2]])
    ],
    "column_proportion_of_non_null_values_to_be_between": each("up key", *ranged(*SHARES)),
    "column_proportion_of_unique_values_to_be_between": each("up word", *ranged(*SHARES)),
    "column_quantile_values_to_be_between": [
        {"column": name, "quantile_ranges": {"quantiles": [0, 0.3, 0.5, 1], "value_ranges": ranges}}
        for name in (*NUMBERS.split(), "empty")
        for ranges in (
            [[N, N]] * 4,
            [[-5, 1], [N, 2], [1, N], [2, 100]],
            [[1, 1], [2, 2], [2, 2], [9, 9]],
            [[N, 0], [N, N], [N, N], [10, N]],
        )
    ],
    "column_stdev_to_be_between": STATS,
    "column_sum_to_be_between": STATS,
    "column_to_exist": each("up", {}, {"column_index": 0}, {"column_index": 3}),
    "column_type_to_be": each("key", {"type_": "str"}, {"type_": "float64"})
    + each("zigzag", {"type_": "float64"}, {"type_": "int64"}, {"type_": "float32"}),
    "column_unique_value_count_to_be_between": each("up word", *ranged((4, 4), (5, N), (N, 3))),
    "column_value_lengths_to_be_between": each("word", *ranged((1, N), (0, 2), (0, 3)))
    + each("word", {"min_value": 1, "mostly": 0.8}),
    "column_value_lengths_to_equal": each("word key", {"value": 1}, {"value": 2, "mostly": 0.6}),
    "column_value_z_scores_to_be_less_than": each(
        "up far", {"threshold": 1.5, "double_sided": True}, {"threshold": 3, "double_sided": False}
    ),
    "column_values_to_be_between": [
        *each(NUMBERS, *ranged((1, 5), (2, N), (N, 100)), {"min_value": 2, "strict_min": True}),
        *each("zigzag", {"min_value": 0, "mostly": 0.8}, {"min_value": 0, "mostly": 0.81}),
        *each("moment", *ranged(("2024-01-01", "2024-03-01"), ("2024-01-04T07:30:00", N))),
    ],
    "column_values_to_be_dateutil_parseable": each("iso odd spoken json", {}, {"mostly": 0.6}),
    "column_values_to_be_decreasing": each("up strict zigzag down", {}, {"strictly": True}),
    "column_values_to_be_in_set": each("word", SET, {"value_set": ["ab"]}, {**SET, "mostly": 0.5}),
    "column_values_to_be_in_type_list": each(
        "zigzag", {"type_list": ["int64", "float64"]}, {"type_list": ["bool"]}
    ),
    "column_values_to_be_increasing": each("up strict zigzag down moment", {}, {"strictly": True})
    + each("zigzag", {"mostly": 0.5}),
    "column_values_to_be_json_parseable": each("json broken word", {}, {"mostly": 0.2}),
    "column_values_to_be_null": each("up empty key", {}, {"mostly": 0.1}),
    "column_values_to_be_of_type": each("key", {"type_": "str"}, {"type_": "int"})
    + each("zigzag", {"type_": "float"}, {"type_": "int64"}),
    "column_values_to_be_unique": each("up key word", {}, {"mostly": 0.5}),
    "column_values_to_match_json_schema": each(
        "json", {"json_schema": {}}, {"json_schema": SCHEMA}, {"json_schema": SCHEMA, "mostly": 0.2}
    ),
    "column_values_to_match_like_pattern": N,
    "column_values_to_match_like_pattern_list": N,
    "column_values_to_match_regex": each("word", {"regex": "^a"}, {"regex": "^.*$"}),
    "column_values_to_match_regex_list": each(
        "word", {"regex_list": ["^a", "^$"]}, {"regex_list": ["a", "b"], "match_on": "all"}
    ),
    "column_values_to_match_strftime_format": each(
        "iso odd spoken", *({"strftime_format": f} for f in ("%Y-%m-%d", "%d/%m/%Y", "%H:%M", "%A"))
    ),
    "column_values_to_not_be_in_set": each("word", {"value_set": ["q"]}, {"value_set": ["ab"]}),
    "column_values_to_not_be_null": each("up empty key", {}, {"mostly": 0.5}),
    "column_values_to_not_be_outliers": each(
        "far up empty", {}, {"multiplier": 0.1}, {"method": "std", "multiplier": 1},
        {"method": "std", "multiplier": 0}, {"method": "std", "multiplier": 3},
    ),
    "column_values_to_not_match_like_pattern": N,
    "column_values_to_not_match_like_pattern_list": N,
    "column_values_to_not_match_regex": each("word", {"regex": "^a"}, {"regex": "q"}),
    "column_values_to_not_match_regex_list": each("word", {"regex_list": ["^a", "^$"]}),
    "compound_columns_to_be_unique": [
        {"column_list": names, **more}
        for names in (["up", "same"], ["up", "key"])
        for more in ROWS
    ],
    "multicolumn_sum_to_equal": [{"column_list": ["up", "same"], "sum_total": n} for n in (4, 5)],
    "multicolumn_values_to_be_equal": [
        {"column_list": ["up", other], **more} for other in ("same", "strict") for more in ROWS[:2]
    ],
    "select_column_values_to_be_unique_within_record": [
        {"column_list": names, **more}
        for names in (["up", "same"], ["far", "zigzag"])
        for more in ROWS[:2]
    ],
    "table_column_count_to_be_between": ranged((1, 100), (N, 3)),
    "table_column_count_to_equal": [{"value": len(COLUMNS)}, {"value": 3}],
    "table_columns_to_match_ordered_list": [
        {"column_list": list(COLUMNS)},
        {"column_list": ["up"]},
    ],
    "table_columns_to_match_set": [
        {"column_set": list(COLUMNS)},
        {"column_set": ["up"]},
        {"column_set": ["up"], "exact_match": False},
    ],
    "table_row_count_to_be_between": ranged((6, 6), (7, N)),
    "table_row_count_to_equal": [{"value": 6}, {"value": 7}],
}  # fmt: skip
LIKES = {  # the pandas engine has no LIKE: the rows that break each were found by hand
    "match_like_pattern": [
        ({"like_pattern": "ab%"}, [4, 5]),
        ({"like_pattern": "_"}, [0, 1, 3, 4, 5]),
    ],
    "match_like_pattern_list": [
        ({"like_pattern_list": ["ab%", "q"]}, [4, 5]),
        ({"like_pattern_list": ["a%", "%b"], "match_on": "all"}, [1, 4, 5]),
    ],
    "not_match_like_pattern": [
        ({"like_pattern": "ab%"}, [0, 1, 3]),
        ({"like_pattern": "%!%", "escape": "!"}, [5]),
    ],
    "not_match_like_pattern_list": [({"like_pattern_list": ["abc", "b%"]}, [1, 5])],
}
ASKED = [(f"expect_{name}", given) for name, cases in CASES.items() if cases for given in cases] + [
    (f"expect_column_values_to_{name}", {"column": "word", **given})
    for name, cases in LIKES.items()
    for given, _ in cases
]


def arrow_table():
    return pa.table({name: pa.array(v, ARROW[kind]) for name, (kind, v) in COLUMNS.items()})


def contract_of(folder, asked, columns=COLUMNS):
    """Load a contract with the rules, which are called r0, r1, ..."""
    rules = [
        {
            "id": f"r{number}", "type": "custom", "engine": "greatExpectations",
            "implementation": {"type": kind, "kwargs": given},
        }
        for number, (kind, given) in enumerate(asked)
    ]  # fmt: skip
    properties = [{"name": name, "logicalType": kind} for name, (kind, _) in columns.items()]
    table = {"name": "t", "quality": rules, "properties": properties}
    head = {"apiVersion": "v3.1.0", "kind": "DataContract", "id": "t", "name": "t"}
    path = folder / "contract.yaml"
    path.write_text(json.dumps(head | {"version": "1.0.0", "status": "active", "schema": [table]}))
    return loader.load(path)


def evaluated(folder, asked):
    """Return findings' rows by rule, the library's result by rule, and all findings."""
    contract: Contract = contract_of(folder, asked)
    table = arrow_table()
    digests = np.zeros((table.num_rows, 32), np.uint8)
    ref = write_shard(folder, Shard(0, table, np.arange(table.num_rows), digests))
    source = Snapshot(str(folder), table.num_rows, (), (ref,), (), None, None, None, ())
    found = read_table(evaluate(contract, source, folder).findings).to_pylist()
    rows = defaultdict(list)
    for finding in found:
        rows[finding["rule"]].append(finding["row"])
    told = json.loads((folder / "expectations" / "result.json").read_text())["results"]
    return rows, {one["expectation_config"]["meta"]["rule"]: one for one in told}, found


def by_pandas(asked):
    """Return the library's own results on a frame of the same cells."""
    from great_expectations.core.batch import Batch
    from great_expectations.execution_engine import PandasExecutionEngine
    from great_expectations.execution_engine.pandas_batch_data import PandasBatchData
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.validator.validator import Validator

    frame, engine = arrow_table().to_pandas(), PandasExecutionEngine()
    batch = Batch(data=PandasBatchData(execution_engine=engine, dataframe=frame))
    validator = Validator(execution_engine=engine, batches=[batch])
    wanted = [
        ExpectationConfiguration(type=kind, kwargs=as_moments(given), meta={"number": number})
        for number, (kind, given) in enumerate(asked)
    ]
    shape = {"result_format": {"result_format": "COMPLETE"}, "catch_exceptions": True}
    found = validator.graph_validate(wanted, runtime_configuration=shape)
    return {result.expectation_config.meta["number"]: result for result in found}


def as_moments(given):
    """Return arguments whose dates pandas can compare; it compares no text with them."""
    moments = {
        key: dt.datetime.fromisoformat(v)
        for key, v in given.items()
        if key in ENDS and isinstance(v, str)
    }
    return given | moments


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    rows, told, found = evaluated(tmp_path_factory.mktemp("gallery"), ASKED)
    return rows, told, found, by_pandas(ASKED)


def test_every_core_expectation_is_evaluated_or_refused(tmp_path):
    import great_expectations.expectations.core  # noqa: F401  registers them
    from great_expectations.expectations.registry import list_registered_expectation_implementations

    core = set(list_registered_expectation_implementations())
    refused = set(expectation_gallery.REFUSED)
    assert core == {kind for kind, _ in ASKED} | refused
    for kind in refused:
        with pytest.raises(AssayError) as caught:
            contract_of(tmp_path, [(kind, {})])
        assert caught.value.code == "ASSAY-C009"


def test_nothing_is_left_unevaluated(both):
    _, _, found, _ = both
    assert not [(f["rule"], f["evidence"]) for f in found if f["rule"].startswith("ASSAY-")]


@pytest.mark.parametrize("number", range(len(ASKED)))
def test_means_what_it_means_in_pandas(both, number):
    rows, told, _, theirs = both
    if "like_pattern" in ASKED[number][0]:
        return
    result, mine = theirs[number], told[f"r{number}"]
    assert not result.exception_info.get("raised_exception"), (ASKED[number], result.exception_info)
    assert mine["success"] is bool(result.success), (ASKED[number], mine["result"], result.result)
    if "unexpected_index_list" in (result.result or {}) and ASKED[number][1].get("mostly", 1) == 1:
        assert rows[f"r{number}"] == sorted(result.result["unexpected_index_list"]), ASKED[number]


def test_like_names_the_rows(both):
    rows, _, _, _ = both
    wanted = [wrong for cases in LIKES.values() for _, wrong in cases]
    first = len(ASKED) - len(wanted)
    assert [rows[f"r{first + at}"] for at in range(len(wanted))] == wanted


LOCAL = {  # a name may be that of a keyword which is refused
    "properties": {"a": {"$ref": "#/$defs/pattern"}},
    "$defs": {"pattern": {"type": "string"}},
}


def exactly(value):
    return dict.fromkeys(ENDS, value)


DATES = [  # bounds of dates and times of day, which pandas does not compare: verdicts by hand
    ("column_max_to_be_between", "day", exactly("2024-02-10"), True),
    ("column_max_to_be_between", "day", {"max_value": "2024-02-10", "strict_max": True}, False),
    ("column_min_to_be_between", "day", {"max_value": "2023-12-31T23:59:59"}, False),
    ("column_min_to_be_between", "day", {"min_value": "2024-01-01T00:00:00"}, True),
    ("column_median_to_be_between", "day", exactly("2024-01-10"), True),
    ("column_min_to_be_between", "noon", {"min_value": "01:00:00"}, True),
    ("column_max_to_be_between", "noon", {"max_value": "12:59:59"}, False),
    ("column_median_to_be_between", "noon", exactly("03:00:00"), True),
    ("column_values_to_be_between", "noon", {"min_value": "03:00:00"}, [0]),
    ("column_values_to_be_between", "day", {"max_value": "2024-01-10T12:00:00"}, [4, 5]),
    ("column_values_to_be_between", "day", {"min_value": "2024-01-04", "strict_min": True}, [0, 1]),
    ("column_values_to_be_increasing", "day", {"strictly": True}, []),
    ("column_values_to_be_decreasing", "noon", {}, [1, 3, 4]),
    ("column_values_to_be_in_set", "day", {"value_set": ["2024-01-01", "2024-01-04"]}, [3, 4, 5]),
    ("column_distinct_values_to_contain_set", "moment", {"value_set": [str(TIMES[0])]}, True),
    ("column_values_to_be_of_type", "day", {"type_": "datetime.date"}, "C005"),
    ("column_values_to_be_in_type_list", "key", {"type_list": ["int", "str"]}, True),
    ("column_values_to_be_of_type", "up", {"type_": "int32"}, False),
    ("column_values_to_match_json_schema", "broken", {"json_schema": {}}, [0, 1, 3, 4]),
    ("column_values_to_match_json_schema", "json", {"json_schema": LOCAL}, [0]),
]  # fmt: skip


def test_dates_types_and_schemas(tmp_path):
    asked = [(f"expect_{name}", {"column": column, **given}) for name, column, given, _ in DATES]
    wanted = [outcome for *_, outcome in DATES]
    usable = [case for case, outcome in zip(asked, wanted, strict=True) if outcome != "C005"]
    rows, told, found = evaluated(tmp_path, usable)
    assert not [(f["rule"], f["evidence"]) for f in found if f["rule"].startswith("ASSAY-")]
    for number, outcome in enumerate(one for one in wanted if one != "C005"):
        if isinstance(outcome, bool):
            assert told[f"r{number}"]["success"] is outcome, usable[number]
        else:
            assert rows[f"r{number}"] == outcome, usable[number]


REMOTE = {"$ref": "https://example.org/schema.json"}
ASKING = {"const": {"$PARAMETER": "x"}}
HALF = {"quantile_ranges": {"quantiles": [0.5], "value_ranges": [[0, 1]]}}
REFUSED = [
    ("column_values_to_be_of_type", "day", {"type_": "datetime.date"}, "C005"),
    ("column_values_to_be_in_type_list", "day", {"type_list": []}, "C005"),
    ("column_values_to_match_strftime_format", "iso", {"strftime_format": "%Y-%Q"}, "C005"),
    ("column_values_to_match_strftime_format", "iso", {"strftime_format": "%Y %Y"}, "C005"),
    ("column_values_to_match_strftime_format", "iso", {"strftime_format": "100%"}, "C005"),
    ("column_values_to_match_json_schema", "json", {"json_schema": REMOTE}, "C005"),
    ("column_values_to_match_json_schema", "json", {"json_schema": {"items": REMOTE}}, "C005"),
    ("column_values_to_match_json_schema", "json", {"json_schema": {"pattern": "(a+)+$"}}, "C005"),
    ("column_values_to_match_json_schema", "json", {"json_schema": {"type": "integr"}}, "C005"),
    ("column_values_to_match_json_schema", "json", {"json_schema": ASKING}, "C005"),
    ("column_values_to_not_be_outliers", "far", {"method": "mad"}, "C005"),
    ("column_values_to_be_json_parseable", "up", {}, "C008"),
    ("column_values_to_be_increasing", "word", {}, "C008"),
    ("column_mean_to_be_between", "day", {"min_value": 1}, "C008"),
    ("column_median_to_be_between", "word", {"min_value": 1}, "C008"),
    ("column_quantile_values_to_be_between", "flag", HALF, "C008"),
    ("column_max_to_be_between", "day", {"min_value": 20240101}, "C005"),
    ("column_max_to_be_between", "up", {"max_value": 2**53 + 1}, "C005"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "column", "given", "code"), REFUSED)
def test_what_has_no_meaning_is_refused(tmp_path, name, column, given, code):
    with pytest.raises(AssayError) as caught:
        contract_of(tmp_path, [(f"expect_{name}", {"column": column, **given})])
    assert caught.value.code == f"ASSAY-{code}"


def test_type_names_are_those_that_the_library_looks_up():
    import sqlalchemy

    for name in set(type_names.SQL_NAMES.values()):
        assert isinstance(getattr(sqlalchemy, name), type)
