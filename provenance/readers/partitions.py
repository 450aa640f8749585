"""Columns that the folders of a partitioned source give: `dt=2026-01-01/country=DE/part-0.parquet`.

Every folder directly above a file that is named `name=value` is a column of the file's rows, as
Hive and Spark write it: characters are escaped (`%20`), and a missing value has a word of its own.
The files usually lack these columns; where one has them, its values must be the folder's.
"""

import dataclasses
import re
from collections.abc import Iterator
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from provenance.base.errors import AssayError
from provenance.files import delta, postgres, remote
from provenance.readers.header import check_names
from provenance.rows.arrow_bytes import whole
from provenance.rows.cast import cast
from provenance.rows.column_types import ColumnSpec
from provenance.rows.shard_parts import Part

MISSING = "__HIVE_DEFAULT_PARTITION__"
_FOLDER = re.compile(r"(?P<name>[^=]+)=(?P<value>.*)", re.DOTALL)
_ESCAPED = re.compile("%[0-9A-Fa-f]{2}")

Values = dict[str, str | None]


def of(path: str) -> Values:
    """Return the columns that the folders of a file give, and their values; usually none.

    Raises:
        AssayError: ASSAY-I041 if a folder's name cannot be read as a column.
    """
    if postgres.is_table(path) or delta.is_table(path):
        return {}
    found: list[tuple[str, str | None]] = []
    for folder in reversed(remote.shown(path).split("/")[:-1]):
        match = _FOLDER.fullmatch(folder)
        if match is None:
            break
        found.append((_unescaped(match["name"], path), _value(match["value"], path)))
    names = [name for name, _ in reversed(found)]
    if len(set(names)) < len(names):
        what = "two of the file's folders give the same column"
        raise AssayError("I041", what, where=remote.shown(path), fix="rename one of the folders")
    check_names(names, None, remote.shown(path))
    return dict(reversed(found))


def _value(text: str, path: str) -> str | None:
    if not text:
        what, fix = "a folder's name has no value after `=`", f"name it {MISSING} if it is missing"
        raise AssayError("I041", what, where=remote.shown(path), fix=fix)
    return None if text == MISSING else _unescaped(text, path)


def _unescaped(text: str, path: str) -> str:
    try:
        plain = unquote(text, errors="strict") if _ESCAPED.search(text) else text
        plain.encode()
    except UnicodeError:
        plain = "\0"
    if "\0" in plain:
        what = "a folder's name is not text: it is not UTF-8, or has a NUL character"
        raise AssayError("I041", what, where=remote.shown(path), fix="rename the folder")
    return plain


def refuse_uneven(paths: list[str]) -> None:
    """Refuse (ASSAY-I041) files whose folders do not give the same columns."""
    first = of(paths[0]).keys()
    for path in paths[1:]:
        if (names := of(path).keys()) != first:
            told = [", ".join(sorted(keys)) or "no columns" for keys in (names, first)]
            what = f"the folders of this file give {told[0]}, but those of the first file {told[1]}"
            fix = "move the file to a folder of its own level, or leave it out of the source"
            raise AssayError("I041", what, where=remote.shown(path), fix=fix)


@dataclasses.dataclass(frozen=True, slots=True)
class Partition:
    """The folders of one file.

    Attributes:
        where: the file, for messages.
        values: of the columns that the folders give.
        specs: the contract's columns, None without a contract.
    """

    where: str
    values: Values
    specs: tuple[ColumnSpec, ...] | None

    @staticmethod
    def of(path: str, specs: tuple[ColumnSpec, ...] | None) -> "Partition":
        """Return the partition of a file; ASSAY-I018 for a column that the contract lacks."""
        values, where = of(path), remote.shown(path)
        known = [spec.name for spec in specs or ()]
        lacking = [name for name in values if specs is not None and name not in known]
        if lacking:
            what = "the folders of the file give columns that the contract lacks: "
            what += ", ".join(lacking)
            fix = f"add {{name: {lacking[0]}, partitioned: true}} to the contract's properties"
            raise AssayError("I018", what, where=where, fix=fix)
        return Partition(where, values, specs)

    def of_file(self) -> tuple[ColumnSpec, ...] | None:
        """Return the columns of the file: it may lack those that its folders give."""
        if not self.values or self.specs is None:
            return self.specs
        return tuple(
            dataclasses.replace(spec, outside=spec.name in self.values) for spec in self.specs
        )

    def joined(self, parts: Iterator[Part], *, is_text: bool) -> Iterator[Part]:
        """Yield the parts of the file with the columns of its folders.

        Raises:
            AssayError: ASSAY-I041 if a value is none of its column's type, or the file says other.
        """
        if not self.values:
            yield from parts
            return
        cells = {name: self._cell(name, is_text=is_text) for name in self.values}
        for part in parts:
            table = part.table
            own = [name for name in cells if name not in table.column_names]
            check_names([*table.column_names, *own], None, self.where)
            for name, cell in cells.items():
                if name not in table.column_names:
                    table = table.append_column(name, pa.repeat(cell, table.num_rows))
                else:
                    self._refuse_other(name, whole(table[name]))
            yield dataclasses.replace(part, table=table)

    def _spec(self, name: str) -> ColumnSpec:
        return next((s for s in self.specs or () if s.name == name), ColumnSpec(name))

    def _cell(self, name: str, *, is_text: bool) -> pa.Scalar:
        """Return the value of a column: as text, or in the contract's type."""
        spec, text = self._spec(name), pa.array([self.values[name]], pa.string())
        typed, code = cast(text, spec)
        if code[0].is_valid:
            form = f" in the format {spec.format}" if spec.format else ""
            what = f"the folder's value of {name!r} is no {spec.logical}{form}"
            fix = "correct the column's logicalType in the contract, or rename the folder"
            raise AssayError("I041", what, where=self.where, fix=fix)
        return (text if is_text else typed)[0]

    def _refuse_other(self, name: str, column: pa.Array) -> None:
        """Refuse a column of the file that has other values than its folder."""
        spec = self._spec(name)
        wanted = cast(pa.array([self.values[name]], pa.string()), spec)[0][0]
        if pa.types.is_string(column.type):
            column = cast(column, spec)[0]
        try:
            is_same = pc.equal(column.cast(spec.arrow), wanted)
        except pa.ArrowInvalid:
            is_same = pa.repeat(pa.scalar(value=False), len(column))
        if not wanted.is_valid:
            is_same = pc.is_null(column)
        others = len(column) - (pc.sum(is_same).as_py() or 0)
        if others:
            what = f"{others:,} rows of the file have another value of {name!r} than its folder"
            fix = "move the rows to the folder of their value, or rename the folder"
            raise AssayError("I041", what, where=self.where, fix=fix)
