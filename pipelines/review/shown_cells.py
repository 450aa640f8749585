"""Cells of rows under review as a person sees them: masked where they may be personal."""

import re
from collections.abc import Collection

import pyarrow as pa

from checks.kit import registry
from pipelines.proposal.deviants import shortened
from pipelines.review.reviewed_run import ReviewedRun
from provenance.rows.nested import is_text, leaves


def shown(
    run: ReviewedRun, rows: Collection[int], columns: Collection[str], *, unmasked: bool = False
) -> dict[int, dict[str, str]]:
    """Return cells by row and column, as text; a missing cell is empty.

    Args:
        run: under review.
        rows: ordinals.
        columns: of the source.
        unmasked: whether cells that may be personal are shown.
    """
    table = run.cells(rows, columns)
    private = frozenset() if unmasked else run.private
    found: dict[int, dict[str, str]] = {row: {} for row in table["row"].to_pylist()}
    for name in table.column_names[1:]:
        hides = name in private or (not unmasked and holds_private(name, table[name]))
        for row, cell in zip(table["row"].to_pylist(), table[name].to_pylist(), strict=True):
            text = "" if cell is None else str(cell)
            found[row][name] = shortened(masked(text) if hides else text)
    return found


def shown_value(run: ReviewedRun, column: str | None, value: str | None) -> str | None:
    """Return the new value of a decision, masked as a cell of its column would be."""
    if value is None:
        return value
    return masked(value) if is_hidden(run, column or run.contract.label or "", value) else value


def is_hidden(run: ReviewedRun, column: str, value: str) -> bool:
    """Return whether a cell of a column would be masked, by its column or by its text."""
    cells = pa.chunked_array([pa.array([value], pa.string())])
    return column in run.private or holds_private(column, cells)


def masked(cell: str) -> str:
    """Return the shape of a cell: digits as #, letters as x."""
    return re.sub(r"[^\W\d_]", "x", re.sub(r"\d", "#", cell))


def holds_private(name: str, cells: pa.ChunkedArray) -> bool:
    """Return whether some cells of a column look personal, whatever the column is called."""
    plain = cells.combine_chunks()
    if pa.types.is_dictionary(plain.type):
        plain = plain.dictionary_decode()
    texts = (node.values for node in leaves(plain, name) if is_text(node.values.type))
    return any(
        registry.is_private(name, each.cast(pa.string()).drop_null().unique()) for each in texts
    )
