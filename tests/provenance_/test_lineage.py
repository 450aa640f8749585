"""Row digests and lineage: the two encoders agree on every type, and a keyed id tells nothing."""

import datetime as dt
import decimal
import hashlib
import math

import numpy as np
import pyarrow as pa
import pytest

from provenance import standalone_verify
from provenance.ledger import lineage, merkle
from provenance.ledger.lineage import RowIds
from provenance.rows import digest
from provenance.rows.snapshot import Source

DAY = dt.date(1969, 12, 31)
TIME = dt.datetime(1969, 12, 31, 23, 59, 59, 999_999)  # noqa: DTZ001
NIGHT = dt.datetime(2026, 1, 2)  # noqa: DTZ001
CELLS = {
    "boolean": (pa.bool_(), [True, False, None]),
    "tiny": (pa.int8(), [-128, 0, None]),
    "whole": (pa.int64(), [-(2**63), 2**53 + 1, None]),
    "unsigned": (pa.uint64(), [2**64 - 1, 0, None]),
    "byte": (pa.uint8(), [255, 0, None]),
    "number": (pa.float64(), [-0.0, math.nan, None, math.inf, 1e308, 5e-324]),
    "short": (pa.float32(), [0.1, -1.5, None]),
    "money": (pa.decimal128(10, 2), [decimal.Decimal("-1.10"), decimal.Decimal("0.00"), None]),
    "wide": (pa.decimal256(76, 10), [decimal.Decimal("-1e50"), decimal.Decimal("7.5"), None]),
    "day": (pa.date32(), [DAY, dt.date(2026, 1, 2), None]),
    "old day": (pa.date64(), [DAY, dt.date(2026, 1, 2), None]),
    "clock": (pa.time32("ms"), [dt.time(23, 59, 59), dt.time(0), None]),
    "fine clock": (pa.time64("ns"), [dt.time(1, 2, 3, 4), dt.time(0), None]),
    "moment": (pa.timestamp("us"), [TIME, NIGHT, None]),
    "zoned": (pa.timestamp("ms", "UTC"), [NIGHT, None]),
    "span": (pa.duration("us"), [dt.timedelta(microseconds=-1), dt.timedelta(days=9), None]),
    "text": (pa.string(), ["", "ab", "\u00e9\U0001f600", None]),
    "large": (pa.large_string(), ["", "ab", None]),
    "code": (pa.dictionary(pa.int32(), pa.string()), ["x", "y", None]),
    "bytes": (pa.binary(), [b"", b"\0\xff", None]),
    "fixed": (pa.binary(2), [b"ab", None]),
    "nothing": (pa.null(), [None]),
}


@pytest.mark.parametrize("name", CELLS)
def test_two_encoders_that_share_no_code_agree(name):
    kind, values = CELLS[name]
    table = pa.table({name: pa.array(values, kind)})
    found = [bytes(row) for row in digest.of_rows(table)]
    alone = [standalone_verify.row_digest(table.slice(n, 1)) for n in range(len(values))]
    assert found == alone
    assert len(set(found)) == len(values)


def test_two_encoders_agree_on_rows_of_all_types_at_once():
    columns = {f"{name} {n}": pa.array([values[n % len(values)]] * 2, kind)
               for name, (kind, values) in CELLS.items() for n in range(3)}  # fmt: skip
    table = pa.table(columns)
    assert bytes(digest.of_rows(table)[1]) == standalone_verify.row_digest(table.slice(1, 1))


@pytest.fixture
def sources():
    one, two = (hashlib.sha256(text).hexdigest() for text in (b"one", b"two"))
    return (Source("a.csv", "csv", 1, one, 0, 3), Source("b.csv", "csv", 1, two, 3, 2))


def made(sources, secrets=None, fates=("clean",) * 5):
    table = pa.table({"x": [1, 2, 2, 2, 5]})
    rows = np.arange(5)
    ids = RowIds(sources, secrets).of(digest.of_rows(table), rows)
    rules = pa.array([["a", "b"], [], [], ["c"], []], pa.list_(pa.string()))
    return lineage.table_of(sources, rows, ids, (fates[0], "clean/part-00000.parquet"), rules)


def facts_of(sources, table):
    counts = {"source": 5, "clean": len(table), "quarantine": 0, "rejected": 0}
    told = [{name: getattr(s, name) for name in s.__dataclass_fields__} for s in sources]
    root = merkle.Tree(lineage.leaves(table)).root().hex()
    return {"inputs": told, "rows": counts, "lineage": {"root": root}}


@pytest.mark.parametrize("secrets", [None, (b"1" * 32, b"2" * 32)])
def test_leaves_are_those_of_the_standalone_verifier(sources, secrets):
    table = made(sources, secrets)
    assert lineage.leaves(table) == [standalone_verify.lineage_leaf(r) for r in table.to_pylist()]
    assert np.array_equal(lineage.ids_in(table)[:, :32].reshape(-1), np.frombuffer(
        b"".join(table["row_id"].to_pylist()), np.uint8))  # fmt: skip


def test_keyed_ids_are_equal_for_equal_rows_and_commitments_are_not(sources):
    plain, keyed = made(sources), made(sources, (b"1" * 32, b"2" * 32))
    ids, others = keyed["row_id"].to_pylist(), plain["row_id"].to_pylist()
    assert ids[1] == ids[2] == ids[3] != ids[0]
    assert len(set(keyed["commitment"].to_pylist())) == 5
    assert not set(ids) & set(others)
    salt = lineage.salt_of(b"2" * 32, bytes.fromhex(sources[1].sha256), 0)
    assert hashlib.sha256(salt + others[3]).digest() == keyed["commitment"][3].as_py()
    assert made(sources, (b"3" * 32, b"2" * 32))["row_id"].to_pylist() != ids


def test_every_row_has_exactly_one_fate_or_the_run_does_not_hold(sources):
    whole = made(sources)

    def codes(table, told=None):
        found = told or facts_of(sources, table)
        return [n.code for n in lineage.verify([table], 1, found, "")]

    assert codes(whole) == []
    assert codes(whole.slice(1)) == ["ASSAY-L011"]
    assert codes(pa.concat_tables([whole.slice(1), whole.slice(1, 1)])) == ["ASSAY-L011"]
    assert codes(whole, facts_of(sources, made(sources, (b"1" * 32, b"2" * 32)))) == ["ASSAY-L011"]
    assert codes(made(sources, None, ("gone",))) == ["ASSAY-L011"]


def test_rows_of_files_with_the_same_bytes_stay_apart(sources):
    one, two = sources
    twins = (one, Source("b.csv", "csv", 1, one.sha256, 3, 2))
    table = made(twins)
    assert table["copy"].to_pylist() == [0, 0, 0, 1, 1]
    assert lineage.ordinals_in(table, twins).tolist() == [0, 1, 2, 3, 4]
    assert lineage.verify([table], 1, facts_of(twins, table), "") == []
    both = table.set_column(7, "copy", pa.array([0, 0, 0, 0, 1]))  # a row of both copies is lost
    [found] = lineage.verify([both], 1, facts_of(twins, both), "")
    assert found.code == "ASSAY-L011"
    assert "copy" not in made((one, two)).column_names
    assert lineage.ordinals_in(table, (two,)).tolist() == [-1] * 5
