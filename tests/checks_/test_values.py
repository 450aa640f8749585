"""Bad values: hits beside near misses, and the laws of merge and cut."""

import dataclasses
import hashlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.kit import findings
from checks.kit.contract_model import Column, Contract
from checks.kit.protocol import Context
from checks.values import CAP, SAMPLE, Values
from provenance.rows.column_types import ColumnSpec
from provenance.rows.shards import Shard


def shards_of(table, sizes):
    """Cut a table into shards of the given sizes; digests come from the rows' content."""
    shards, start = [], 0
    for number, size in enumerate(sizes):
        part = table.slice(start, size)
        digests = [hashlib.sha256(repr(row).encode()).digest() for row in part.to_pylist()]
        packed = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32)
        shards.append(Shard(number, part, np.arange(start, start + part.num_rows), packed))
        start += size
    return shards


def check_of(table, **columns):
    specs = []
    for field in table.schema:
        logical = "string" if pa.types.is_string(field.type) else "number"
        specs.append(Column(ColumnSpec(field.name, logical), **columns.get(field.name, {})))
    contract = Contract("t", "1", "c.yaml", "0" * 64, tuple(specs))
    return Values(Context(contract, table.schema, table.num_rows))


def run(table, sizes=None, *, backwards=False, **columns):
    check = check_of(table, **columns)
    shards = shards_of(table, sizes or [table.num_rows])
    states = [check.fit(shard) for shard in (reversed(shards) if backwards else shards)]
    state = states[0]
    for other in states[1:]:
        state = check.merge(state, other)
    model = check.finish(state)
    return findings.ordered(findings.concat([check.score(shard, model) for shard in shards]))


def rules(table, **columns):
    found = run(table, **columns).to_pylist()
    return {(f["row"], f["rule"].removeprefix("ASSAY-")) for f in found}


@pytest.mark.parametrize(
    ("odd", "flagged"),
    [
        (1e308, True),
        (-1e300, True),
        (1e100, True),
        (4.5e15, False),
        (float("nan"), False),
        (float("inf"), False),
        (-0.0, False),
        (5e-324, False),
        (None, False),
    ],
)
def test_absurd_numbers(odd, flagged):
    amounts = [400.0 + i for i in range(60)]
    amounts[5] = odd
    assert rules(pa.table({"amount": amounts})) == ({(5, "V004")} if flagged else set())


@pytest.mark.parametrize(
    "honest",
    [
        [0] * 99 + [9_000_000_000_000_000_000],
        [0] * 50 + list(range(50)),
        [1.0] * 99 + [1e12],
        [1e200 * i for i in range(100)],
        [1e-200 * i for i in range(100)],
        np.exp(np.random.default_rng(0).normal(0, 10, 500)).tolist(),
        [None] * 20,
    ],
)
def test_honest_numbers_are_left_alone(honest):
    kind = pa.int64() if isinstance(honest[0], int) else pa.float64()
    assert not rules(pa.table({"n": pa.array(honest, kind)}))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("a\x1bb", "V005"),
        ("a\x00", "V005"),
        ("\x7f", "V005"),
        ("x\x85y", "V005"),
        ("tab\tnew\nline\r", None),
        ("caf\u00e9 \u4e16\u754c \u0440\u0443\u0441", None),
        ("soft\u00adhyphen no\u00a0break", None),
        ("pay\u202etxt.exe", "V006"),
        ("jo\u200bhn", "V006"),
        ("\ufeffid", "V006"),
        ("a\u2066b\u2069", "V006"),
        ("w\u2060j", "V006"),
        ("a\u200db", "V006"),
        ("\u200cab", "V006"),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", None),  # Persian, honest ZWNJ
        ("\u0915\u094d\u200d\u0937", None),  # Devanagari, honest ZWJ
        ("\U0001f468\u200d\U0001f469\u200d\U0001f467 family", None),
        ("\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", None),  # a flag
        ("hi\U000e0041\U000e0042", "V006"),
        ("\u2764\ufe0f", None),
    ],
)
def test_characters(text, rule):
    notes = ["plain words"] * 30
    notes[6] = text
    found = run(pa.table({"note": notes}), note={"roles": frozenset({"text"})})
    got = {(f["row"], f["rule"]) for f in found.to_pylist()}
    assert got == ({(6, f"ASSAY-{rule}")} if rule else set())
    for finding in found.to_pylist():
        assert "character U+" in finding["evidence"]
        assert finding["evidence"].isascii()
        assert "plain" not in finding["evidence"]


def test_evidence_names_the_character_and_its_place():
    found = run(pa.table({"note": ["abc\u202edef"]})).to_pylist()
    assert [f["evidence"] for f in found] == ["hidden character U+202E at character 3"]


CITIES = ["Oslo"] * 40 + ["Bergen"] * 40 + ["Troms\u00f8"] * 40


@pytest.mark.parametrize(
    ("odd", "rule"),
    [
        ("\u041eslo", "V007"),
        ("\uff2fslo", "V007"),
        ("Troms\u00d8", "V008"),
        ("Oslo ", "V008"),
        ("oslo", "V008"),
        ("OSLO", "V008"),
        ("Os\u00a0lo", "V008"),
        ("Asker", None),
        ("\u041c\u043e\u0441\u043a\u0432\u0430", None),
        ("Osl0", None),
        ("", None),
    ],
)
def test_categories(odd, rule):
    found = run(pa.table({"city": [*CITIES, odd]})).to_pylist()
    assert {(f["row"], f["rule"]) for f in found} == ({(120, f"ASSAY-{rule}")} if rule else set())
    assert all("usual spelling" in f["suggestion"] for f in found)


def test_the_suggestion_is_the_usual_category():
    (found,) = run(pa.table({"city": [*CITIES, "oslo "]})).to_pylist()
    assert "'Oslo'" in found["suggestion"]


@pytest.mark.parametrize(
    "columns",
    [{"key": True}, {"roles": frozenset({"text"})}, {"valid_values": ("Oslo", "oslo")}],
)
def test_columns_and_values_that_are_meant_are_left_alone(columns):
    assert not rules(pa.table({"city": [*CITIES, "oslo"]}), city=columns)


def test_two_common_spellings_are_left_alone():
    assert not rules(pa.table({"answer": ["Yes"] * 60 + ["yes"] * 30 + ["No"] * 60}))
    assert not rules(pa.table({"answer": ["Yes"] * 30 + ["yes"] * 2 + ["No"] * 100}))


def test_columns_of_many_values_have_no_usual_category():
    many = [f"name {i}" for i in range(CAP)] + ["Oslo"] * 40 + ["oslo"]
    assert not rules(pa.table({"name": many}))


def test_state_is_bounded():
    rows = 3 * SAMPLE
    table = pa.table({"t": [str(i) for i in range(rows)], "n": [float(i) for i in range(rows)]})
    state = check_of(table).fit(shards_of(table, [rows])[0])
    assert state.counts == {"t": None}
    assert state.numbers.num_rows == SAMPLE


def test_empty_and_null_columns():
    for table in (
        pa.table({"t": pa.nulls(4, pa.string()), "n": pa.nulls(4, pa.float64())}),
        pa.table({"t": pa.array([], pa.string()), "n": pa.array([], pa.int64())}),
    ):
        assert run(table).num_rows == 0


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([*["Oslo"] * 9, "oslo", "\u041eslo", "a\u200bb", None]),
            st.sampled_from([1.0, 2.0, 3.0, 1e308, float("nan"), float("inf"), None]),
        ),
        min_size=30,
        max_size=60,
    ),
    st.integers(1, 29),
    st.booleans(),
)
def test_findings_are_equal_for_any_cut(rows, cut, backwards):
    table = pa.table({"t": [r[0] for r in rows], "n": [r[1] for r in rows]})
    whole = run(table)
    assert whole.equals(run(table, [cut, len(rows) - cut], backwards=backwards))
    assert whole.equals(run(table, [cut, 0, 1, len(rows) - cut - 1], backwards=backwards))


def test_merge_is_commutative_and_associative():
    table = pa.table({"t": [*CITIES, "oslo"], "n": [float(i) for i in range(121)]})
    check = check_of(table)
    a, b, c = (check.fit(shard) for shard in shards_of(table, [40, 1, 80]))
    left, right = check.merge(a, check.merge(b, c)), check.merge(check.merge(c, a), b)
    assert left.counts == right.counts
    assert left.numbers.equals(right.numbers)
    assert dataclasses.is_dataclass(left)
