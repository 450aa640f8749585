"""The list of expectations is the library's, and each one runs on DuckDB over all rows."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from checks.contract import expectation_gallery
from checks.kit.contract_model import Column, Contract, Rule
from checks.rules import suite
from pipelines.run.contract_rules import evaluate
from provenance.base.errors import AssayError
from provenance.rows.column_types import ColumnSpec
from provenance.rows.shards import Shard, read_table, write_shard
from provenance.rows.snapshot import Snapshot

TYPES = {"a": "integer", "b": "integer", "x": "number", "s": "string"}
ARGUMENTS = {
    "value_set": ["ab1"],
    "min_value": 1,
    "max_value": 3,
    "regex": "1$",
    "regex_list": ["1$", "2$"],
    "like_pattern": "%1",
    "like_pattern_list": ["%1", "%2"],
    "threshold": 1.0,
    "double_sided": True,
    "value": 3,
    "column_A": "a",
    "column_B": "b",
    "value_pairs_set": [[1, 1], [2, 2]],
    "column_list": ["a", "b"],
    "sum_total": 5,
    "column_set": ["a", "b", "x", "s"],
    "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[0, 1]]},
    "partition_object": {"values": ["ab1", "ab2"], "weights": [0.5, 0.5]},
    "type_": "BIGINT",
    "type_list": ["BIGINT"],
    "strftime_format": "ab%d",
    "json_schema": {"type": "object"},
}
OF_TEXT = ("set", "regex", "like", "length", "common", "kl_", "json", "strf", "dateutil")


def contract_of(rules, types=None):
    columns = tuple(Column(ColumnSpec(name, kind)) for name, kind in (types or TYPES).items())
    return Contract("people", "1", "contract.yaml", "0" * 64, columns, tuple(rules))


def snapshot_of(folder, table):
    digests = np.zeros((table.num_rows, 32), np.uint8)
    ref = write_shard(folder, Shard(0, table, np.arange(table.num_rows), digests))
    return Snapshot(str(folder), table.num_rows, (), (ref,), (), None, None, None, ())


def test_the_list_is_the_librarys():
    import great_expectations.expectations.core  # noqa: F401  registers them
    from great_expectations.expectations.registry import list_registered_expectation_implementations

    ours = [
        expectation_gallery.EXPECTATIONS,
        expectation_gallery.REFUSED,
    ]
    names = [name for part in ours for name in part]
    assert len(names) == len(set(names))
    assert set(names) == set(list_registered_expectation_implementations())


def test_every_expectation_runs_and_the_counts_agree(tmp_path):
    from great_expectations.expectations.registry import get_expectation_impl

    rules = []
    for kind in expectation_gallery.EXPECTATIONS:
        fields = get_expectation_impl(kind).__fields__
        params = {key: item for key, item in ARGUMENTS.items() if key in fields}
        column = (
            ("s" if any(word in kind for word in OF_TEXT) else "a") if "column" in fields else None
        )
        rules.append(Rule(kind, kind, column, params))
    table = pa.table(
        {
            "a": pa.array([None if i % 50 == 3 else i % 20 for i in range(200)], pa.int64()),
            "b": pa.array([i % 7 for i in range(200)], pa.int64()),
            "x": np.random.default_rng(0).normal(size=200),
            "s": [None if i % 40 == 1 else f"ab{i % 7}" for i in range(200)],
        }
    )
    found = read_table(
        evaluate(contract_of(rules), snapshot_of(tmp_path, table), tmp_path).findings
    )
    assert not {"ASSAY-K001", "ASSAY-K016"} & set(found["rule"].to_pylist())
    counts = dict(
        zip(*(c.to_pylist() for c in found["rule"].value_counts().flatten()), strict=True)
    )
    # counted by hand from the table above
    assert counts["expect_column_values_to_not_be_null"] == 4
    assert counts["expect_column_values_to_be_null"] == 196
    assert counts["expect_column_values_to_match_regex"] == 167
    assert counts["expect_column_mean_to_be_between"] == 1


def test_arguments_that_the_library_refuses_are_a_contract_error():
    rule = Rule("r", "expect_column_values_to_be_in_set", "s", {"value_sett": [1]}, where="c:3")
    clauses = suite.clauses(contract_of([rule]))
    with pytest.raises(AssayError, match="value_set") as caught:
        suite.expectations(clauses)
    assert (caught.value.code, caught.value.where) == ("ASSAY-C005", "c:3")


@pytest.mark.parametrize(
    ("operator", "limit", "kept", "broken"),
    [
        ("mustBe", 3, 3, 4),
        ("mustNotBe", 3, 4, 3),
        ("mustBeGreaterThan", 3, 4, 3),
        ("mustBeGreaterOrEqualTo", 3, 3, 2),
        ("mustBeLessThan", 3, 2, 3),
        ("mustBeLessOrEqualTo", 3, 3, 4),
        ("mustBeBetween", [1, 3], 3, 4),
        ("mustNotBeBetween", [1, 3], 4, 3),
    ],
)
def test_bounds(operator, limit, kept, broken):
    bound = {"op": operator, "value": limit}
    assert suite.within(kept, bound)
    assert not suite.within(broken, bound)
    assert suite.worded(bound).startswith("must ")


def test_a_label_is_one_rule_of_two_clauses():
    rule = Rule("ASSAY-V013", "label", "s", {"values": ["x", "y"]})
    clauses = suite.clauses(contract_of([rule]))
    assert [clause.kind[14:] for clause in clauses] == [
        "values_to_not_be_null",
        "values_to_be_in_set",
    ]
    free = dataclasses.replace(rule, params={"values": None})
    assert len(suite.clauses(contract_of([free]))) == 1
