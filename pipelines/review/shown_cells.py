"""Cells of rows under review as a person sees them: masked where they may be personal."""

import re
from collections.abc import Collection

import pyarrow as pa

from checks.kit import registry
from checks.kit.contract_model import Contract
from pipelines.proposal.deviants import shortened
from pipelines.review.reviewed_run import ReviewedRun
from provenance.rows.nested import column_of, is_text, leaves

PRIVATE_CHECKS = frozenset({"pii"})  # what they accuse a column of is that it holds personal data


def private_columns(run: ReviewedRun) -> frozenset[str]:
    """Return the columns whose cells are masked, by the contract, their names or the scan."""
    named = {c.name for c in run.contract.columns if _is_private(run.contract, c.name)}
    for check, column in _accused(run):
        if check in PRIVATE_CHECKS and column:
            named.add(column_of(column, run.columns) or column)
    return frozenset(named)


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
    private = frozenset() if unmasked else private_columns(run)
    found: dict[int, dict[str, str]] = {row: {} for row in table["row"].to_pylist()}
    for name in table.column_names[1:]:
        is_hidden = name in private or (not unmasked and holds_private(name, table[name]))
        for row, cell in zip(table["row"].to_pylist(), table[name].to_pylist(), strict=True):
            text = "" if cell is None else str(cell)
            found[row][name] = shortened(masked(text) if is_hidden else text)
    return found


def shown_value(run: ReviewedRun, column: str | None, value: str | None) -> str | None:
    """Return the new value of a decision, masked as a cell of its column would be."""
    if value is None or column is None:
        return value
    cells = pa.chunked_array([pa.array([value], pa.string())])
    is_hidden = column in private_columns(run) or holds_private(column, cells)
    return masked(value) if is_hidden else value


def masked(cell: str) -> str:
    """Return the shape of a cell: digits as #, letters as x."""
    return re.sub(r"[^\W\d_]", "x", re.sub(r"\d", "#", cell))


def _is_private(contract: Contract, name: str) -> bool:
    column = contract.column(name)
    return column.is_protected or registry.is_private(name)


def holds_private(name: str, cells: pa.ChunkedArray) -> bool:
    """Return whether some cells of a column look personal, whatever the column is called."""
    plain = cells.combine_chunks()
    if pa.types.is_dictionary(plain.type):
        plain = plain.dictionary_decode()
    texts = (node.values for node in leaves(plain, name) if is_text(node.values.type))
    return any(
        registry.is_private(name, each.cast(pa.string()).drop_null().unique()) for each in texts
    )


def _accused(run: ReviewedRun) -> set[tuple[str, str | None]]:
    pairs = run.rowed.group_by(["check", "column"]).aggregate([])
    return {(item["check"], item["column"]) for item in pairs.to_pylist()}
