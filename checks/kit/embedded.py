"""Embeddings as number columns, so that the label's models learn from them like from any other.

The vectors of a column are turned to the axes along which the sample varies most, as many as carry
nearly all of it. A row without a vector of the usual length has missing numbers there.
Cost: O(sample x width^2) once, then O(width x axes) a row.
"""

import dataclasses

import numpy as np
import pyarrow as pa

from checks.kit import vectors

MOST_AXES = 64
CARRIED = 0.99  # of the variance


@dataclasses.dataclass(frozen=True, slots=True)
class Axes:
    """The axes of one column: `center` of shape (width,), `turn` of shape (width, axes)."""

    column: str
    center: np.ndarray
    turn: np.ndarray

    @property
    def names(self) -> list[str]:
        """Return the names of the number columns."""
        return [f"{self.column}[{number}]" for number in range(self.turn.shape[1])]


@dataclasses.dataclass(frozen=True, slots=True)
class Projection:
    """The axes of every column of embeddings."""

    columns: tuple[Axes, ...] = ()

    @property
    def names(self) -> list[str]:
        """Return the names of all number columns."""
        return [name for axes in self.columns for name in axes.names]

    def of(self, table: pa.Table) -> pa.Table:
        """Return a table whose lists are number columns instead."""
        for axes in self.columns:
            cells = vectors.matrix(table[axes.column], len(axes.center))
            made = (cells - axes.center) @ axes.turn
            table = table.drop_columns([axes.column])
            for name, values in zip(axes.names, made.T, strict=True):
                table = table.append_column(name, pa.array(values, from_pandas=True))
        return table


def fit(table: pa.Table, columns: tuple[str, ...]) -> Projection:
    """Find the axes of a sample.

    Args:
        table: with the lists of `columns`, see `vectors.lists`.
        columns: of embeddings.
    """
    return Projection(tuple(_axes(table[name], name) for name in columns))


def _axes(column: pa.ChunkedArray, name: str) -> Axes:
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    size = vectors.usual_length(column)
    cells = vectors.matrix(column, size)
    cells = cells[np.isfinite(cells).all(1)]
    if not size or len(cells) < 2:  # noqa: PLR2004
        return Axes(name, np.zeros(size), np.zeros((size, 0)))
    center = cells.mean(0)
    with threadpool_limits(1, user_api="blas"):
        spread, turn = np.linalg.eigh(np.cov(cells - center, rowvar=False).reshape(size, size))
    spread, turn = np.maximum(spread[::-1], 0), turn[:, ::-1]
    carried = np.cumsum(spread) / max(float(spread.sum()), 1e-300)
    kept = min(int(np.searchsorted(carried, CARRIED)) + 1, MOST_AXES, size)
    # the sign of an axis is arbitrary: its largest number is positive
    turn = turn[:, :kept]
    turn = turn * np.sign(turn[np.abs(turn).argmax(0), np.arange(kept)])
    return Axes(name, center, turn)
