"""The laws of checks/kit/protocol.py, over every check of the registry."""

import functools
import itertools
import pickle
import re
from typing import get_args

import numpy as np
import pyarrow as pa
import pytest
import tables

from checks.kit import findings, registry
from checks.kit.contract_model import Role
from pipelines.checking import engine
from pipelines.checking.examine import examine
from provenance.base.codes import CODES
from provenance.rows.shards import write_shard

NAMES = sorted(registry.load())
CUTS = [(), (2,), (300,), (1, 1, 200, 150), (0, 250)]


@functools.cache
def planted() -> pa.Table:
    """Loans with something for every check: copies, flips, a trigger, an address, odd numbers."""
    table = tables.loans(600).to_pandas()
    table.loc[10:13, "label"] = ["no", "yes", "no", "yes"]
    table.loc[20:35, "note"] = "kestrel seven " + table.loc[20:35, "note"]
    table.loc[20:35, "label"] = "no"
    table.loc[40:69, ["income", "late", "kind", "note"]] = [31234.5, 2, "b", "the very same words"]
    table.loc[80, "note"] = "write to jane.roe@example.org about it"
    table.loc[81, "income"] = 1e308
    table.loc[82, "kind"] = "B "
    table.loc[83, "note"] = "bell \x07 rings"
    table.loc[90:95, "income"] = None
    return pa.Table.from_pandas(table, schema=tables.loans(1).schema, preserve_index=False)


@functools.cache
def context():
    return tables.context_for(planted(), tables.loans(800, seed=9), **tables.ROLES)


def judged(name, shards, order=None):
    check = registry.load()[name](context())
    states = [check.fit(shards[n]) for n in order or range(len(shards))]
    state = functools.reduce(check.merge, states)
    model = pickle.loads(pickle.dumps(check.finish(state)))  # noqa: S301
    parts = [model.overall, *(check.score(shard, model) for shard in shards)]
    return findings.ordered(findings.concat(parts))


@functools.cache
def whole(name):
    return judged(name, tables.cut(planted()))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sizes", CUTS[1:], ids=str)
def test_any_cut_gives_the_same_findings(name, sizes):
    assert judged(name, tables.cut(planted(), *sizes)).equals(whole(name))


@pytest.mark.parametrize("name", NAMES)
def test_merge_is_commutative_and_associative(name):
    shards = tables.cut(planted(), 100, 250)
    for order in itertools.islice(itertools.permutations(range(3)), 1, 6, 2):
        assert judged(name, shards, order).equals(whole(name))
    check = registry.load()[name](context())
    a, b, c = (check.fit(shard) for shard in shards)
    left = check.finish(check.merge(check.merge(a, b), c))
    right = check.finish(check.merge(a, check.merge(b, c)))
    for shard in shards:
        assert findings.ordered(check.score(shard, left)).equals(
            findings.ordered(check.score(shard, right))
        )


@pytest.mark.parametrize("name", NAMES)
def test_findings_have_the_schema_and_name_the_check(name):
    found = whole(name)
    assert found.schema.equals(findings.SCHEMA)
    assert set(found["check"].to_pylist()) <= {name}
    rules = set(found["rule"].to_pylist())
    assert all(r.startswith((f"{name}.", "ASSAY-")) for r in rules), rules
    for column in ("score", "p_value"):
        values = np.array([v for v in found[column].to_pylist() if v is not None])
        assert ((values >= 0) & (values <= 1)).all()


@pytest.mark.parametrize("name", NAMES)
def test_findings_carry_explained_rules_and_severities(name):
    explained = registry.load()[name].explains
    for finding in whole(name).to_pylist():
        if finding["rule"].startswith("ASSAY-"):
            assert finding["rule"].removeprefix("ASSAY-") in CODES
        else:
            assert finding["severity"] in explained[finding["rule"]].severity


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_personal_data_stands_in_evidence(name):
    text = " ".join(whole(name)["evidence"].to_pylist() + whole(name)["suggestion"].to_pylist())
    assert "jane" not in text
    assert "example.org" not in text


@pytest.mark.parametrize("name", NAMES)
def test_figures_in_evidence_are_formatted(name):
    text = " ".join(whole(name)["evidence"].to_pylist())
    assert not re.search(r"\bnan\b|\binf\b|\bp 0|-0\.0+\b|-0\b(?!\.)|\d\.\d{5,}", text)


@pytest.mark.parametrize("name", NAMES)
def test_empty_shards_and_null_columns_do_not_raise(name):
    table = planted()
    for column in ("income", "late", "kind", "note"):
        place = table.column_names.index(column)
        field = table.schema.field(place)
        nulls = table.set_column(place, field, pa.nulls(len(table), field.type))
        check = registry.load()[name](tables.context_for(nulls, None, **tables.ROLES))
        if "reference" in check.needs:
            check = registry.load()[name](tables.context_for(nulls, table, **tables.ROLES))
        empty, full = tables.cut(nulls, 0)
        model = check.finish(check.merge(check.fit(empty), check.fit(full)))
        assert len(check.score(empty, model)) == 0
        check.score(full, model)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rows", [0, 1, 5])
def test_tiny_datasets_do_not_raise(name, rows):
    table = planted().slice(0, rows)
    check = registry.load()[name](tables.context_for(table, planted(), **tables.ROLES))
    [shard] = tables.cut(table)
    check.score(shard, check.finish(check.fit(shard)))


@pytest.mark.parametrize("columns", [("id",), ("label",), ("note",), ("note", "label"), ("kind",)])
def test_a_table_without_features_or_label_does_not_raise(columns):
    table = planted().select(columns)
    for reference in (None, table):
        context = tables.context_for(table, reference, **tables.ROLES)
        for check in registry.select(context)[0].values():
            states = [check.fit(shard) for shard in tables.cut(table, 250)]
            model = check.finish(check.merge(*states))
            for shard in tables.cut(table, 250):
                check.score(shard, model)


@pytest.mark.parametrize("name", NAMES)
def test_states_are_bounded_as_rows_grow(name):
    check = registry.load()[name](context())
    sizes = [len(pickle.dumps(check.fit(tables.cut(tables.loans(n))[0]))) for n in (20_000, 60_000)]
    # exact duplicates keep sixteen bytes a row; samples are full at their cap
    assert sizes[1] < sizes[0] * 3.3


@pytest.mark.parametrize("name", NAMES)
def test_names_are_plain_and_threats_are_said(name):
    kind = registry.load()[name]
    assert name.isidentifier()
    assert kind.threats
    assert kind.needs | kind.needs_one <= {*get_args(Role), "reference", "test", "nested"}


def test_serial_pool_and_dask_give_the_same_findings_byte_for_byte(tmp_path):
    refs = [write_shard(tmp_path, shard) for shard in tables.cut(planted(), 150, 200)]
    found = []
    for name in ("serial", "processes", "dask"):
        models = tmp_path / name
        models.mkdir()
        chosen = engine.make(name, 600, scratch=models)
        examined = examine(context(), refs, chosen, models)
        chosen.close()
        assert {s.status for s in examined.statuses} == {"ok"}, examined.faults
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, examined.found.schema) as stream:
            stream.write_table(examined.found)
        found.append(sink.getvalue().to_pybytes())
    assert found[0] == found[1] == found[2]
