"""Reads JSON as parts: one array of flat objects, or JSON Lines under the name `.json`.

The array is read element by element, so that no more than one block of it is in memory, and each
element is then read like a line of JSON Lines. What cannot be split into elements is refused as a
whole, because nothing marks where the next one begins.
"""

import codecs
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

from provenance.base.errors import AssayError
from provenance.base.limits import Limits
from provenance.readers.encoding import without_mark
from provenance.readers.jsonl_reader import JsonlSource
from provenance.readers.nested_json import NestedColumns
from provenance.rows.column_types import ColumnSpec

_BLANKS = re.compile(r"[ \t\r\n]*")
_OPEN = 16  # an error this close to the end of a block may be no more than the end of the block
_ELEMENTS = 1 << 14  # that are read at once
_FIX = "write one array of objects, or one object per line"


class JsonArraySource(JsonlSource):
    """One JSON array, read once from its first block to its last."""

    _unit = "element"

    def _lines(self) -> Iterator[list[bytes]]:
        """Yield the elements, many at once."""
        following = next(self._blocks, None)
        if following is None:
            return
        following, self._has_bom = without_mark(following, self.name)
        blocks = itertools.chain((following,), self._blocks)
        found = (raw for _, raw in elements(blocks, self.name, self._limits))
        first = 0
        while some := list(itertools.islice(found, _ELEMENTS)):
            self._numbers = list(range(first, first + len(some)))
            first += len(some)
            yield some


def json_source(
    name: str,
    blocks: Iterator[bytes],
    specs: tuple[ColumnSpec, ...] | None,
    limits: Limits,
    nested: NestedColumns,
) -> JsonlSource:
    """Return the reader of a text named `.json`; its first character tells which of the two."""
    first = next(blocks, b"")
    text = itertools.chain((first,) if first else (), blocks)
    kind = JsonArraySource if is_array(first) else JsonlSource
    return kind(name, text, specs, limits, nested)


def is_array(block: bytes) -> bool:
    """Return whether a text that begins with this block is a JSON array."""
    return block.removeprefix(codecs.BOM_UTF8).lstrip(b" \t\r\n").startswith(b"[")


def elements(blocks: Iterator[bytes], where: str, limits: Limits) -> Iterator[tuple[int, bytes]]:
    """Yield each element of an array: its offset in bytes, and its text.

    Raises:
        AssayError: ASSAY-I003 if the array is not closed, I004 if it is not valid JSON, or
            something follows it; I006 if an element exceeds `max_row_bytes`, I008 if it is nested
            so deep that it cannot even be parsed.
    """
    scanner = _Scanner(where, limits)
    for block in blocks:
        yield from scanner.read(block, is_last=False)
    yield from scanner.read(b"", is_last=True)


class _Scanner:
    """Splits an array; `wanted` is what comes next: `[`, an element, `,` or the end."""

    def __init__(self, where: str, limits: Limits) -> None:
        decoder: Any = json.JSONDecoder(parse_int=len, parse_float=len)  # of any size, not read
        self._scan = decoder.scan_once
        self._decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
        self._where, self._limits = where, limits
        self._text = ""
        self._wanted = "["
        self._may_end = False
        self._offset = self._count = 0

    def read(self, block: bytes, *, is_last: bool) -> Iterator[tuple[int, bytes]]:
        """Yield the elements that end in the next block."""
        self._text += self._decode(block, final=is_last)
        place = 0
        while True:
            start = place
            place = _BLANKS.match(self._text, place).end()  # type: ignore[union-attr]
            self._offset += place - start
            if place == len(self._text):
                break
            if self._wanted == "element" and not (self._may_end and self._text[place] == "]"):
                end = self._end(place, is_last=is_last)
                if end is None:
                    break
                raw = self._text[place:end].encode("utf-8", "surrogateescape")
                self._refuse_long(len(raw))
                yield self._offset, raw
                self._offset, place, self._wanted = self._offset + len(raw), end, ","
                self._count += 1
            else:
                self._take(self._text[place])
                place, self._offset = place + 1, self._offset + 1
        self._text = self._text[place:]
        if is_last and self._wanted not in ("end", "["):
            what = f"the file ends within the array, after {self._count:,} elements"
            raise AssayError("I003", what, where=self._where)

    def _take(self, char: str) -> None:
        """Take a bracket or a comma."""
        if char == "[" and self._wanted == "[":
            self._wanted, self._may_end = "element", True
        elif char == "," and self._wanted == ",":
            self._wanted, self._may_end = "element", False
        elif char == "]" and (self._wanted == "," or self._may_end):
            self._wanted, self._may_end = "end", False
        elif self._wanted == "end":
            raise self._invalid("text follows the end of the array")
        else:
            raise self._invalid(f"after {self._count:,} elements, the array is not valid JSON")

    def _end(self, place: int, *, is_last: bool) -> int | None:
        """Return where the element at a place ends; None if more of the text is needed."""
        if self._text[place] in "],":
            raise self._invalid(f"after {self._count:,} elements, the array is not valid JSON")
        try:
            _, end = self._scan(self._text, place)
        except RecursionError:
            what = f"element {self._count:,} is nested deeper than {self._limits.max_depth} levels"
            raise AssayError("I008", what, where=self._where, fix="flatten it") from None
        except (ValueError, StopIteration) as error:
            if self._is_open(error):
                self._refuse_long(len(self._text) - place)
                return None
            raise self._invalid(f"element {self._count:,} is not valid JSON") from None
        if end == len(self._text) and not is_last:
            return None  # a number may go on
        return int(end)

    def _is_open(self, error: Exception) -> bool:
        """Return whether an element may be invalid only because the rest of it has not come yet."""
        if isinstance(error, json.JSONDecodeError):
            return error.msg.startswith("Unterminated") or error.pos >= len(self._text) - _OPEN
        place = getattr(error, "value", None)
        return not isinstance(place, int) or place >= len(self._text) - _OPEN

    def _refuse_long(self, size: int) -> None:
        if size > self._limits.max_row_bytes:
            most = self._limits.max_row_bytes
            what = f"element {self._count:,} is longer than the limit of {most:,} bytes"
            fix = "raise assay.limits.max_row_bytes"
            raise AssayError("I006", what, where=self._where, fix=fix)

    def _invalid(self, what: str) -> AssayError:
        return AssayError("I004", what, where=self._where, fix=_FIX)
