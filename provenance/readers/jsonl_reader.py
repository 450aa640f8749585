"""Reads JSON Lines as parts: one object per line, every value as the text it was written in.

Numbers keep their digits, true and false become those words, null and an absent key are missing,
a list or an object stays JSON (see `nested_json`).
The columns are the contract's, or without a contract the keys of the first block in their order.
Lines are parsed one by one, because JSON cannot be split by columns.
"""

import json
from collections.abc import Iterator
from concurrent.futures import Executor
from typing import Any

import numpy as np
import pyarrow as pa

from provenance.base.errors import AssayError, Notice
from provenance.base.limits import Limits
from provenance.readers.encoding import text_notices, without_mark
from provenance.readers.header import check_names, refuse_wide
from provenance.readers.nested_json import Digits, NestedColumns, Object, Rejection
from provenance.rows.column_types import ColumnSpec
from provenance.rows.shard_parts import Part, cell_faults, faults_of, rejected_of

_LINES = 1 << 16  # read at once, to bound memory if they are short
_BLANKS = " \t\r\n"  # around a JSON text
_HOPELESS = 100_000  # if none of so many lines can be read, the rest of the file need not be read


class JsonlSource:
    """One JSON Lines text, read once from its first block to its last."""

    _unit = "line"  # what a message counts

    def __init__(
        self,
        name: str,
        blocks: Iterator[bytes],
        specs: tuple[ColumnSpec, ...] | None,
        limits: Limits,
        nested: NestedColumns | None = None,
    ) -> None:
        """Take the text as an iterator of non-empty blocks; `nested` is shared with other files."""
        self.name = name
        self.rows = 0
        self._blocks = blocks
        self._columns = [spec.name for spec in specs or ()]
        self._missing = {spec.name for spec in specs or () if not spec.outside}
        self._outside = set(self._columns) - self._missing
        self._limits = limits
        self._has_bom = False
        self._blank = 0
        self._is_bare = False
        self._nested = nested or NestedColumns(specs or (), limits, is_free=specs is None)
        self._may_nest = bool(self._nested.shapes) or specs is None
        self._numbers: list[int] = []  # of the lines read last, from 1
        numbers = ("parse_int", "parse_float", "parse_constant")
        hooks: dict[str, Any] = dict.fromkeys(numbers, Digits)
        decoder: Any = json.JSONDecoder(object_pairs_hook=Object, **hooks)
        self._scan = decoder.scan_once

    def parts(self, first_row: int, _: Executor) -> Iterator[Part]:
        """Yield the text's rows as parts; ordinals start at `first_row`.

        Python's JSON parser holds the interpreter lock, so the pool would gain nothing.

        Raises:
            AssayError: ASSAY-I001, I004, I006, I008, I009, I018, I021 or I027.
        """
        readable = 0
        for lines in self._lines():
            part = self._part(lines, first_row + self.rows)
            self.rows += len(part.rows) + part.rejected.num_rows
            readable += len(part.rows)
            if not readable and self.rows >= _HOPELESS:
                raise self._unreadable()
            yield part
        if not self.rows:
            raise AssayError("I001", "the source has no rows and no columns", where=self.name)
        if not readable:
            raise self._unreadable()
        if self._missing:
            names = ", ".join(sorted(self._missing)[:20])
            fix = "repair the export, or correct the contract's properties"
            raise AssayError("I018", f"missing: {names}", where=self.name, fix=fix)

    def _unreadable(self) -> AssayError:
        what = f"0 of {self.rows:,} lines can be read as JSON objects with these columns"
        return AssayError("I004", what, where=self.name, fix="write one object per line")

    def notices(self) -> list[Notice]:
        """Return what a person should know about the text that was read."""
        return text_notices(self.name, self._blank, has_bom=self._has_bom)

    def _lines(self) -> Iterator[list[bytes]]:
        """Yield the lines that are not blank, block by block."""
        rest, first = b"", 1
        following = next(self._blocks, None)
        if following is not None:
            following, self._has_bom = without_mark(following, self.name)
        while following is not None:
            block = rest + following
            following = next(self._blocks, None)
            end = block.rfind(b"\n") + 1 if following is not None else len(block)
            rest = block[end:]
            lines = block[:end].split(b"\n")
            if max(len(rest), *map(len, lines)) > self._limits.max_row_bytes:
                what = f"a line is longer than the limit of {self._limits.max_row_bytes:,} bytes"
                fix = "raise assay.limits.max_row_bytes"
                raise AssayError("I006", what, where=self.name, fix=fix)
            ends_bare = following is None and not block.endswith(b"\n")
            if lines[-1] == b"":
                lines.pop()
            full = [line for line in lines if line.strip()]
            numbers = [first + n for n, line in enumerate(lines) if line.strip()]
            first += len(lines)
            self._blank += len(lines) - len(full)
            for start in range(0, len(full), _LINES):
                self._is_bare = ends_bare and start + _LINES >= len(full)
                self._numbers = numbers[start : start + _LINES]
                yield full[start : start + _LINES]

    def _part(self, lines: list[bytes], first_row: int) -> Part:
        read = list(map(self._object, lines, self._numbers))
        if self._is_bare and isinstance(read[-1], str) and read[-1].startswith("ASSAY-I024"):
            read[-1] = "ASSAY-I003: the last line is cut off: not a JSON object, no line ending"
        if not self._columns:
            self._name_columns(read)
        known = set(self._columns)
        wrong = self._without_nesting(lines, read, first_row)
        for place, row in enumerate(read):
            if isinstance(row, dict) and not row.keys() <= known:
                unknown = len(row.keys() - known)
                are = "key is not a column" if unknown == 1 else "keys are not columns"
                read[place] = f"ASSAY-I024: {unknown} {are}"
        good = np.array([isinstance(row, dict) for row in read], bool)
        rows = first_row + np.arange(len(lines), dtype=np.int64)
        objects = [row for row in read if isinstance(row, dict)]
        for row in objects:
            if not self._missing:
                break
            self._missing -= row.keys()
        kept = rows[good]
        table = self._table(objects)
        reasons = [row for row in read if isinstance(row, str)]
        bad = np.flatnonzero(~good)
        rejected = rejected_of(rows[bad].tolist(), [lines[place] for place in bad], reasons)
        longest = max(map(len, lines))
        has_nul = any(b"\\u0000" in line for line in lines)
        flat = table.select([n for n in table.column_names if n not in self._nested.shapes])
        faults = cell_faults(flat, kept, self._limits, longest=longest, has_nul=has_nul)
        return Part(table, kept, pa.concat_tables([faults, *wrong]), rejected)

    def _without_nesting(
        self, lines: list[bytes], read: list[dict[str, Any] | str], first_row: int
    ) -> list[pa.Table]:
        """Turn nested cells into JSON texts; return the faults of their texts (HELD_SCHEMA)."""
        found = []
        for place, (line, row) in enumerate(zip(lines, read, strict=True)):
            may_nest = self._may_nest or b"[" in line or line.count(b"{") > 1
            if isinstance(row, str) or not may_nest:
                continue
            try:
                self._nested.take(row, f"{self._unit} {self._numbers[place]:,}")
            except Rejection as reason:
                read[place] = str(reason)
                continue
            except AssayError as error:
                error.where = self.name
                raise
            for code, path, content in self._nested.faults:
                at = np.array([first_row + place])
                evidence = pa.array([f"{path} contains {content}"])
                found.append(faults_of(at, code, path, evidence))
        return found

    def _object(self, line: bytes, number: int) -> dict[str, Any] | str:
        """Return the line's object, or why there is none.

        Raises:
            AssayError: ASSAY-I008 if it is nested so deep that it cannot even be parsed.
        """
        try:
            text = line.decode().strip(_BLANKS)
            # only an object needs to be parsed
            pairs, end = self._scan(text, 0) if text.startswith("{") else (None, 0)
        except UnicodeDecodeError as error:
            byte = f"byte {error.start} of the row, 0x{line[error.start]:02X}"
            return f"ASSAY-I022: {byte}, is not UTF-8"
        except RecursionError:
            what = f"{self._unit} {number:,} is nested deeper than {self._limits.max_depth} levels"
            raise AssayError("I008", what, where=self.name, fix="flatten it") from None
        except (ValueError, StopIteration):
            return "ASSAY-I024: the line is not a JSON object"
        if not isinstance(pairs, Object) or end != len(text):
            return "ASSAY-I024: the line is not a JSON object"
        row = dict(pairs)
        if len(row) != len(pairs):
            return "ASSAY-I024: a key occurs twice"
        if b"\\u" in line and not _is_text(row):
            return "ASSAY-I022: a text contains half of a surrogate pair"
        return row

    def _name_columns(self, read: list[dict[str, Any] | str]) -> None:
        names: dict[str, None] = {}
        for row in read:
            names.update(dict.fromkeys(row if isinstance(row, dict) else ()))
        if not names and any(isinstance(row, dict) for row in read):
            raise AssayError("I001", "the source has rows without any column", where=self.name)
        check_names(list(names), None, self.name)
        refuse_wide(len(names), self._limits, self.name)
        self._columns = list(names)

    def _table(self, objects: list[dict[str, Any]]) -> pa.Table:
        columns = {}
        for name in self._columns:
            values = [row.get(name) for row in objects]
            if name in self._outside and values.count(None) == len(values):
                continue
            try:
                columns[name] = pa.array(values, pa.string())
            except (pa.ArrowTypeError, pa.ArrowInvalid):
                words = [str(v).lower() if isinstance(v, bool) else v for v in values]
                columns[name] = pa.array(words, pa.string())
        return pa.table(columns)


def _is_text(row: dict[str, Any]) -> bool:
    """Return whether every name and text can be encoded in UTF-8: no half of a surrogate pair."""
    waiting: list[Any] = [list(row.items())]
    try:
        while waiting:
            value = waiting.pop()
            if isinstance(value, list | tuple):
                waiting += value
            elif isinstance(value, str):
                value.encode()
    except UnicodeEncodeError:
        return False
    return True
