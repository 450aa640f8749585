"""Finds the byte range of a row in a text source, by the readers' own rules for rows.

The file must be the one that was read: its digest is compared first. It was within the limits then,
so no limits apply here. Only the row's position is returned, never its content.
"""

from collections.abc import Iterator
from itertools import accumulate, chain

import numpy as np

from provenance.base.errors import AssayError
from provenance.base.limits import Limits
from provenance.files.safe_open import Opened
from provenance.files.unpack import blocks
from provenance.readers.csv_dialect import Dialect
from provenance.readers.csv_lines import LINE_END
from provenance.readers.csv_rows import find_rows
from provenance.readers.encoding import as_utf8, without_mark
from provenance.readers.json_reader import elements, is_array
from provenance.rows.snapshot import Source

Span = tuple[int, int]
Pieces = Iterator[tuple[bytes, bool]]

_PIECE = 1 << 20
_MOST = 1 << 62
_UNLIMITED = Limits(max_bytes=_MOST, max_unpacked_bytes=_MOST, max_ratio=_MOST, max_row_bytes=_MOST)


def span_of(source: Source, row: int, dialect: Dialect) -> Span | None:
    """Return the offsets of a row's first byte and of the byte after its last.

    The line ending is not included. Offsets refer to the text as it is read: unpacked, and
    converted to UTF-8.

    Args:
        source: as the run recorded it.
        row: ordinal within this file, from 0 and below `source.rows`.
        dialect: of CSV files, according to the contract.

    Returns:
        None if the file is not text.

    Raises:
        AssayError: ASSAY-I005 if the file differs from the one that was read; I010, I011, I013 or
            I014 if it cannot be opened.
    """
    base, _, packing = source.format.partition(".")
    with Opened(source.name, _UNLIMITED) as file:
        if file.size != source.size or file.digest() != source.sha256:
            what = "the file differs from the one that was read"
            raise AssayError("I005", what, where=source.name)
    if base not in ("csv", "tsv", "jsonl", "json"):
        return None
    with Opened(source.name, _UNLIMITED) as file:
        text = blocks(file, packing, _UNLIMITED)
        if base == "json":
            found = _nth(_spans_of_json(text, source.name), row)
        elif base == "jsonl":
            found = _nth(_spans_of_lines(_pieces(text), source.name), row)
        else:
            if dialect.encoding != "utf-8":
                text = as_utf8(text, dialect.encoding, source.name)
            rows = _spans_of_rows(_pieces(text), source.name, dialect.named(base))
            found = _nth(rows, row)
        file.digest()  # reads to the end, as closing the file requires
    return found


def _nth(spans: Iterator[np.ndarray], row: int) -> Span:
    """Return the span at index `row` of all spans; each array has the shape (n, 2)."""
    passed = 0
    for some in spans:
        if row < passed + len(some):
            start, end = some[row - passed].tolist()
            return start, end
        passed += len(some)
    message = f"the file has {passed} rows, so there is no row {row}"
    raise IndexError(message)


def _pieces(text: Iterator[bytes]) -> Pieces:
    """Yield the text in small pieces, each with whether it is the last one."""
    piece = b""
    for block in text:
        for start in range(0, len(block), _PIECE):
            if piece:
                yield piece, False
            piece = block[start : start + _PIECE]
    yield piece, True


def _spans_of_rows(pieces: Pieces, name: str, dialect: Dialect) -> Iterator[np.ndarray]:
    """Yield the spans of the rows of CSV text, without the header, as csv_reader counts them."""
    mark, quote, comment = (
        char.encode() for char in (dialect.delimiter, dialect.quote, dialect.comment)
    )
    rest, start, width, above = b"", -1, 0, dialect.skip
    for piece, is_last in pieces:
        block = rest + piece
        if start < 0:
            start, block = _begun(block, name)
        if above:
            place, above = _past_lines(block, above, is_last=is_last)
            start, block = start + place, block[place:]
        if above:
            rest = block
            continue
        rows = find_rows(block, mark, quote, comment=comment, is_last=is_last)
        is_full = (rows.ends > rows.starts) & ~rows.is_comment
        first = 0
        if not width and is_full.any():
            header = int(np.argmax(is_full))
            width, first = int(rows.cells[header]), header + 1
        if width:
            is_row = is_full if width > 1 else ~rows.is_comment
            spans = np.stack([rows.starts, rows.ends], axis=1)[first:]
            yield start + spans[is_row[first:]]
        rest = block[rows.used :]
        start += rows.used


def _past_lines(block: bytes, count: int, *, is_last: bool) -> tuple[int, int]:
    """Return where the first `count` lines of a block end, and how many of them it lacks."""
    place = 0
    while count and (end := LINE_END.search(block, place)):
        if end.end() == len(block) and end[0] == b"\r" and not is_last:
            break  # its LF may follow
        place, count = end.end(), count - 1
    return place, count


def _spans_of_lines(pieces: Pieces, name: str) -> Iterator[np.ndarray]:
    """Yield the spans of the lines of JSON text that are not blank, as jsonl_reader counts them."""
    rest, start = b"", -1
    for piece, is_last in pieces:
        block = rest + piece
        if start < 0:
            start, block = _begun(block, name)
        used = len(block) if is_last else block.rfind(b"\n") + 1
        lines = block[:used].split(b"\n")
        ends = [end - 1 for end in accumulate(len(line) + 1 for line in lines)]
        spans = [
            (start + end - len(line), start + end)
            for line, end in zip(lines, ends, strict=True)
            if line.strip()
        ]
        yield np.array(spans, np.int64).reshape(-1, 2)
        rest = block[used:]
        start += used


def _spans_of_json(text: Iterator[bytes], name: str) -> Iterator[np.ndarray]:
    """Yield the spans of the objects of a JSON text, an array or lines, as json_reader counts."""
    first = next(text, b"")
    if not is_array(first):
        yield from _spans_of_lines(_pieces(chain((first,), text)), name)
        return
    mark, first = _begun(first, name)
    for offset, raw in elements(chain((first,), text), name, _UNLIMITED):
        yield np.array([[mark + offset, mark + offset + len(raw)]], np.int64)


def _begun(block: bytes, name: str) -> tuple[int, bytes]:
    """Return the length of the byte order mark, and the first block of text after it."""
    text, has_mark = without_mark(block, name)
    return (len(block) - len(text)) if has_mark else 0, text
