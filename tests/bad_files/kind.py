"""What a bad file is, and the honest table that each one is made of.

Sixty rows of eight columns; a case changes one thing, and says which code that earns, which rows it
costs, and what every other row must still hold.
"""

import csv
import dataclasses
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

NAMES = ["id", "code", "age", "amount", "city", "day", "label", "note"]
ROWS = 60
CITIES = ("Oslo", "Bergen", "Molde")
LABELS = ("yes", "no")
Fate = Literal["refused", "held", "rejected", "warned", "accepted"]
Cells = list[list[str | None]]

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
name: people
schema:
  - name: people
    properties:
      - {name: id, logicalType: integer, primaryKey: true}
      - {name: code, logicalType: string}
      - {name: age, logicalType: integer, required: true}
      - {name: amount, logicalType: number}
      - {name: city, logicalType: string}
      - {name: day, logicalType: date}
      - name: label
        logicalType: string
        quality:
          - {metric: invalidValues, arguments: {validValues: ["yes", "no"]}, mustBe: 0}
        customProperties:
          - {property: assay.role, value: label}
      - name: note
        logicalType: string
        customProperties:
          - {property: assay.role, value: text}
"""


def contract(text: str = CONTRACT, **settings: Mapping[str, Any]) -> str:
    """Return a contract with settings of its own, e.g. `csv={"delimiter": ";"}`."""
    if not settings:
        return text
    lines = [
        f"  - {{property: assay.{name}, value: {json.dumps(value)}}}"
        for name, value in settings.items()
    ]
    return text + "\n".join(["customProperties:", *lines, ""])


@dataclasses.dataclass(frozen=True)
class Bad:
    """One bad file, or one that only looks bad.

    Attributes:
        name: what is wrong, unique.
        code: what it earns, such as I005; empty where it is no fault at all.
        fate: of the file (refused, warned, accepted) or of its rows (held, rejected).
        make: makes the file in an empty folder and returns the source's path.
        rows: ordinals of the rows that are held or rejected.
        kept: text of cells that differ from the honest ones and must survive as they are.
        total: source rows where they are not 60.
        contract: to read it by.
        is_typed: whether cells have types of their own, so that texts as read do not exist.
        user: `nobody` where only one without root's rights can be refused.
    """

    name: str
    code: str
    fate: Fate
    make: Callable[[Path], str]
    rows: tuple[int, ...] = ()
    kept: Mapping[tuple[int, str], str | None] = dataclasses.field(default_factory=dict)
    total: int = ROWS
    contract: str = CONTRACT
    is_typed: bool = False
    user: str = ""


def honest(row: int) -> list[str | None]:
    """Return the texts of one honest row."""
    return [
        str(row + 1),
        f"C{row:05}",
        str(20 + row),
        f"{row}.5",
        CITIES[row % 3],
        f"2025-03-{row % 28 + 1:02}",
        LABELS[row % 2],
        f"row {row} is as it should be",
    ]


def cells(rows: int = ROWS) -> Cells:
    """Return the texts of honest rows."""
    return [honest(row) for row in range(rows)]


def changed(row: int, column: str, text: str | None) -> Cells:
    """Return the honest texts with one cell changed."""
    made = cells()
    made[row][NAMES.index(column)] = text
    return made


def as_csv(made: Cells, *, delimiter: str = ",", end: str = "\n") -> bytes:
    """Return texts as CSV, quoted where they must be; an empty text is `""`, a missing one not."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end)
    writer.writerow(NAMES)
    for row in made:
        line = io.StringIO(newline="")
        csv.writer(line, delimiter=delimiter, lineterminator=end).writerow(row)
        text.write(line.getvalue() if "" not in row else _with_empty(row, delimiter, end))
    return text.getvalue().encode()


def _with_empty(row: list[str | None], delimiter: str, end: str) -> str:
    shown = ["" if cell is None else '"' + cell.replace('"', '""') + '"' for cell in row]
    return delimiter.join(shown) + end


def as_lines(made: Cells) -> bytes:
    """Return texts as JSON Lines: numbers bare where they are such, everything else as text."""
    return b"".join(_line(row) for row in made)


def _line(row: list[str | None]) -> bytes:
    shown = ", ".join(
        f"{json.dumps(name)}: {_token(name, cell)}" for name, cell in zip(NAMES, row, strict=True)
    )
    return f"{{{shown}}}\n".encode()


def _token(name: str, cell: str | None) -> str:
    if name in ("id", "age", "amount") and cell is not None and cell.strip() == cell:
        try:
            json.loads(cell, parse_constant=str)
        except ValueError:
            return json.dumps(cell)
        return cell
    return json.dumps(cell)


def lines() -> list[str]:
    """Return the lines of the honest CSV, the header first."""
    return as_csv(cells()).decode().splitlines()


def with_line(row: int, line: bytes) -> bytes:
    """Return the honest CSV with the bytes of one row replaced."""
    made = [text.encode() for text in lines()]
    made[row + 1] = line
    return b"\n".join(made) + b"\n"


def with_header(header: str) -> bytes:
    """Return the honest CSV with another header."""
    return "\n".join([header, *lines()[1:], ""]).encode()


def file(name: str, data: bytes | Callable[[], bytes]) -> Callable[[Path], str]:
    """Return a maker of one file."""

    def make(folder: Path) -> str:
        path = folder / name
        path.write_bytes(data if isinstance(data, bytes) else data())
        return str(path)

    return make
