"""Rows that a stray pair of quotes has swallowed: a quoted cell over several lines that are rows.

Honest text may spread over lines too. What tells the two apart is that swallowed lines have the
header's number of delimiters, line after line, and that their cells fit the contract's types.
"""

import pyarrow as pa

from provenance.cast import cast
from provenance.casting import ColumnSpec
from provenance.limits import Limits

_ENOUGH = 6  # delimiters on whole lines that are no accident where no types help


def swallowed(
    text: bytes,
    columns: list[str],
    specs: tuple[ColumnSpec, ...] | None,
    delimiter: str,
    limits: Limits,
) -> str | None:
    """Return why a row over several lines is no honest row, or None if it seems to be one.

    Args:
        text: the row's bytes.
        columns: names, in the source's order.
        specs: the contract's columns, None without one.
        delimiter: of the file.
        limits: `max_lines_per_row`.
    """
    lines = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    if len(lines) > limits.max_lines_per_row:
        return f"the row spans {len(lines):,} lines, and the limit is {limits.max_lines_per_row:,}"
    marks = len(columns) - 1
    if not marks:
        return None
    by_name = {spec.name: spec for spec in specs or ()}
    types = [by_name.get(name) for name in columns]
    inner = lines[1:-1] or [lines[-1]]
    whole = [line for line in inner if _looks_whole(line, marks, types, delimiter)]
    typed = any(spec is not None and spec.logical != "string" for spec in types)
    if lines[1:-1]:
        enough = 2 * len(whole) >= len(inner)
    else:
        enough = bool(whole) and _looks_whole(lines[0], marks, types, delimiter)
    if enough and (typed or marks * len(whole) >= _ENOUGH):
        return f"a quote swallows lines that look like rows: the row spans {len(lines):,} lines"
    return None


def _looks_whole(line: bytes, marks: int, types: list[ColumnSpec | None], delimiter: str) -> bool:
    if line.count(delimiter.encode()) != marks:
        return False
    cells = line.decode("utf-8", "replace").replace('"', "").split(delimiter)
    for cell, spec in zip(cells, types, strict=True):
        if spec is None or spec.logical == "string" or not cell:
            continue
        if cast(pa.array([cell]), spec)[1][0].as_py() is not None:
            return False
    return True
