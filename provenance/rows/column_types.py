"""Column types: what a contract says about a column, and the Arrow type it is cast to."""

import dataclasses
from typing import Literal

import pyarrow as pa

Logical = Literal["string", "integer", "number", "boolean", "date", "timestamp", "time"]

ARROW: dict[str, pa.DataType] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "time": pa.time64("us"),
}


@dataclasses.dataclass(frozen=True, slots=True)
class ColumnSpec:
    """Name and type of one column.

    Attributes:
        name: as in the source's header.
        logical: the contract's logical type.
        required: whether a missing value is a fault (ASSAY-V010).
        format: ODCS format of dates and timestamps, e.g. `yyyy-MM-dd`; None means ISO 8601.
        missing: texts that stand for a missing value, in addition to the empty cell.
        decimal, thousands: how numbers are written: `.` or `,`; between groups of three digits,
            empty if they have none.
        trim: whether blanks around a text are left out.
        outside: whether a file may lack the column, since the names of its folders give it.
    """

    name: str
    logical: Logical = "string"
    required: bool = False
    format: str | None = None
    missing: tuple[str, ...] = ()
    decimal: str = "."
    thousands: str = ""
    trim: bool = False
    outside: bool = False

    @property
    def arrow(self) -> pa.DataType:
        """Return the type the column is cast to."""
        return ARROW[self.logical]
