"""Rows that a stray pair of quotes has swallowed: a quoted cell over several lines that are rows.

Honest text may spread over lines too. What tells the two apart is that swallowed lines have the
header's number of delimiters, line after line, and that their cells fit the contract's types.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance.base.limits import Limits
from provenance.readers.csv_dialect import Dialect
from provenance.rows.cast import cast
from provenance.rows.column_types import ColumnSpec

_ENOUGH = 6  # delimiters on whole lines that are no accident where no types help


def swallowed(
    texts: list[bytes],
    columns: list[str],
    specs: tuple[ColumnSpec, ...] | None,
    dialect: Dialect,
    limits: Limits,
) -> list[str | None]:
    """Say of each row over several lines why it is no honest row, or None if it seems to be one.

    Args:
        texts: the rows' bytes.
        columns: names, in the source's order.
        specs: the contract's columns, None without one.
        dialect: of the file.
        limits: `max_lines_per_row`.
    """
    by_name = {spec.name: spec for spec in specs or ()}
    typed = {n: by_name[c] for n, c in enumerate(columns) if c in by_name}
    typed = {place: spec for place, spec in typed.items() if spec.logical != "string"}
    marks = len(columns) - 1
    rows = [_lines(text, limits.max_lines_per_row) for text in texts]
    suspects = [_suspects(lines, marks, dialect.delimiter) for lines in rows]
    fits = iter(_fits([line for lines in suspects for line in lines], typed, dialect).tolist())
    return [
        _reason(lines, [next(fits) for _ in mine], marks, limits, is_typed=bool(typed))
        for lines, mine in zip(rows, suspects, strict=True)
    ]


def _lines(text: bytes, most: int) -> list[bytes]:
    plain = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return plain.split(b"\n", most)  # one more than the limit shows that it is passed


def _suspects(lines: list[bytes], marks: int, delimiter: str) -> list[bytes]:
    """Return the lines that have a row's number of delimiters, of those that matter."""
    if not marks:
        return []
    mark = delimiter.encode()
    return [line for line in lines[1:-1] or lines if line.count(mark) == marks]


def _reason(
    lines: list[bytes], fits: list[bool], marks: int, limits: Limits, *, is_typed: bool
) -> str | None:
    if len(lines) > limits.max_lines_per_row:
        return f"the row spans over {limits.max_lines_per_row:,} lines, which is the limit"
    whole = sum(fits)
    # of lines between the first and the last half must be rows; two lines alone must both be
    inner = len(lines) - 2
    enough = 2 * whole >= inner if inner else whole == len(lines)
    proof = marks * (whole if inner else 1)
    if whole and enough and (is_typed or proof >= _ENOUGH):
        return f"a quote swallows lines that look like rows: the row spans {len(lines):,} lines"
    return None


def _fits(lines: list[bytes], typed: dict[int, ColumnSpec], dialect: Dialect) -> np.ndarray:
    """Return whether each line's cells, read without quotes, are values of the contract's types."""
    good = np.ones(len(lines), bool)
    if not lines or not typed:
        return good
    cells = [*_cells(lines, dialect)]
    for place, spec in typed.items():
        column = pa.array([row[place] for row in cells], pa.string())
        _, codes = cast(column, spec)
        good &= pc.is_null(codes).to_numpy(zero_copy_only=False)
    return good


def _cells(lines: list[bytes], dialect: Dialect) -> Iterator[list[str]]:
    for line in lines:
        text = line.decode("utf-8", "replace")
        yield text.replace(dialect.quote or "\0", "").split(dialect.delimiter)
