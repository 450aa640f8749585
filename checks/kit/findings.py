"""Findings: the table that every check returns, one row per finding.

A finding's identity is (row, check, rule, column). `row` is null if it concerns the whole dataset.
`evidence` and `suggestion` never quote a cell of a column that may be personal.
"""

from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Findings: TypeAlias = pa.Table
Severity: TypeAlias = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")

SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("check", pa.string()),
        ("rule", pa.string()),
        ("column", pa.string()),
        ("severity", pa.string()),
        ("score", pa.float64()),
        ("p_value", pa.float64()),
        ("evidence", pa.string()),
        ("suggestion", pa.string()),
    ]
)
DECIMALS = 6  # scores are rounded so that findings are equal on every engine


def make(
    rows: object,
    *,
    check: str,
    rule: object,
    severity: object = "error",
    column: object = None,
    score: object = 1.0,
    p_value: object = None,
    evidence: object = "",
    suggestion: object = "",
) -> Findings:
    """Build findings for `rows` (int64, shape (n,), None for a dataset-level finding).

    Every other argument is one value for all rows or a sequence of n of them.
    """
    length = 1 if rows is None else len(rows)  # type: ignore[arg-type]
    given = {"check": check, "rule": rule, "column": column, "severity": severity}
    given |= {"score": score, "p_value": p_value, "evidence": evidence, "suggestion": suggestion}
    arrays = [pa.nulls(1, pa.int64()) if rows is None else pa.array(rows, pa.int64())]
    arrays += [_spread(given[f.name], length, f.type) for f in SCHEMA if f.name != "row"]
    return pa.table(arrays, schema=SCHEMA)


def empty() -> Findings:
    """Return a findings table without rows."""
    return SCHEMA.empty_table()


def count(found: Findings, check: str) -> tuple[int, int]:
    """Return the number of findings of a check, and of rows they concern."""
    mine = found.filter(pc.equal(found["check"], check))
    return len(mine), len(mine["row"].drop_null().unique())


def concat(parts: list[Findings]) -> Findings:
    """Join findings, in no particular order; see `ordered`."""
    return pa.concat_tables([empty(), *parts]).combine_chunks()


def ordered(found: Findings) -> Findings:
    """Sort by identity, so that equal findings are equal tables, byte for byte."""
    keys = [(name, "ascending") for name in ("row", "check", "rule", "column", "evidence")]
    return found.take(pc.sort_indices(found, sort_keys=keys)).combine_chunks()


def _spread(value: object, length: int, kind: pa.DataType) -> pa.Array:
    if value is None:
        return pa.nulls(length, kind)
    if isinstance(value, str | float | int):
        array = pa.repeat(pa.scalar(value, kind), length)
    else:
        array = pa.array(value, kind)
    return _rounded(array) if pa.types.is_floating(kind) else array


def _rounded(array: pa.Array) -> pa.Array:
    # + 0.0 turns -0.0 into 0.0, which would be a different byte pattern
    values = np.round(array.to_numpy(zero_copy_only=False).astype(float), DECIMALS) + 0.0
    return pa.array(values, pa.float64(), from_pandas=True)
