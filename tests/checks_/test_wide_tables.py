"""The rules of a wide table: work grows in proportion to its columns, and the answers stay.

Calls are counted, which is the same on every machine, and not seconds.
"""

import cProfile
import pstats

import numpy as np
import pyarrow as pa
import pytest

from checks.kit.contract_model import Column, Contract, Rule
from checks.rules import one_pass
from checks.rules.lookups import Columns, look_up_exact_names, name_plain_arguments
from pipelines.run.contract_rules import evaluate
from provenance.rows.column_types import ColumnSpec
from provenance.rows.shards import Shard, read_table, write_shard
from provenance.rows.snapshot import Snapshot


def found_in(folder, columns, rules=("maximum",)):
    """Return the findings of a table in which the last row breaks the rule of every column."""
    folder.mkdir()
    names = [f"c{number}" for number in range(columns)]
    table = pa.table({name: pa.array([number, 9_999]) for number, name in enumerate(names)})
    limit = {"value": columns, "exclusive": False}
    every = tuple(Rule(f"{k} {name}", k, name, limit) for name in names for k in rules)
    specs = tuple(Column(ColumnSpec(name, "integer")) for name in names)
    contract = Contract("wide", "1", "c.yaml", "0" * 64, specs, every)
    ref = write_shard(folder, Shard(0, table, np.arange(2), np.zeros((2, 32), np.uint8)))
    source = Snapshot(str(folder), 2, (), (ref,), (), None, None, None, ())
    return read_table(evaluate(contract, source, folder).findings).to_pylist()


def test_calls_grow_with_columns_and_not_with_their_square(tmp_path):
    found_in(tmp_path / "first", 1)  # imports
    calls = []
    for columns in (20, 40, 80):
        profile = cProfile.Profile()
        profile.enable()
        found = found_in(tmp_path / str(columns), columns)
        profile.disable()
        assert [f["row"] for f in found] == [1] * columns
        calls.append(pstats.Stats(profile).total_calls)
    few, some, many = calls
    assert (many - some) / (some - few) < 2.08, calls  # 2.02; a search of names makes it 2.14


@pytest.mark.parametrize("size", ["MOST", "BUNDLE"])
def test_rules_that_take_several_queries_name_the_same_rows(tmp_path, monkeypatch, size):
    from checks.rules import duck_engine

    monkeypatch.setattr(one_pass if size == "MOST" else duck_engine, size, 3)
    found = found_in(tmp_path / "few", 8, ("maximum", "minimum"))
    wanted = {(f"maximum c{n}", 1) for n in range(8)} | {(f"minimum c{n}", 0) for n in range(8)}
    assert {(f["rule"], f["row"]) for f in found} == wanted


def test_names_are_found_as_the_library_finds_them():
    from great_expectations.expectations.metrics.util import get_dbms_compatible_column_names

    look_up_exact_names()
    plain = ["b", "A b", 'q"', "É"]
    ours = Columns(plain)
    for names in ("b", ["A b", 'q"'], "É", "B", ["a B"]):
        wanted = get_dbms_compatible_column_names(names, plain)
        assert get_dbms_compatible_column_names(names, ours) == wanted
    with pytest.raises(Exception, match="does not exist"):
        get_dbms_compatible_column_names("c", ours)


def test_arguments_keep_the_librarys_ids():
    from great_expectations.core.id_dict import IDDict

    name_plain_arguments()
    usual = IDDict.to_id.__wrapped__
    for given in ({}, {"a": 1}, {"b": None, "a": "é"}, {"x": 0.1, "y": True}, {"l": [1], "m": {}}):
        assert IDDict(given).to_id() == usual(IDDict(given))
