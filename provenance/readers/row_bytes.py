"""Places: which bytes of a text source a row is, by the readers' own rules of what a row is.

The file must be the very one that was read: its digest is compared first, so it has been within
the limits before and none are set here. Nothing of the row but its place is given back.
"""

from collections.abc import Iterator
from itertools import accumulate

import numpy as np

from provenance.base.errors import AssayError
from provenance.base.limits import Limits
from provenance.files.safe_open import Opened
from provenance.files.unpack import blocks
from provenance.readers.csv_dialect import Dialect
from provenance.readers.csv_rows import find_rows
from provenance.readers.encoding import as_utf8, without_mark
from provenance.rows.snapshot import Source

Span = tuple[int, int]
Pieces = Iterator[tuple[bytes, bool]]

_PIECE = 1 << 20
_MOST = 1 << 62
_UNLIMITED = Limits(max_bytes=_MOST, max_unpacked_bytes=_MOST, max_ratio=_MOST)


def span_of(source: Source, row: int, dialect: Dialect) -> Span | None:
    """Return where a row's bytes are: the first one, and the one after the last.

    Its line end is not among them. They count in the text that is read: of a packed file in what
    it unpacks to, of one in another encoding in the same text as UTF-8.

    Args:
        source: as the run recorded it.
        row: ordinal within this file, from 0 and below `source.rows`.
        dialect: of CSV files, as the contract says it.

    Returns:
        None if the file is no text.

    Raises:
        AssayError: ASSAY-I005 if the file is another one now; I010, I011, I013 or I014 if it
            cannot be opened.
    """
    base, _, packing = source.format.partition(".")
    with Opened(source.name, _UNLIMITED) as file:
        if file.size != source.size or file.digest() != source.sha256:
            what = "the file is not the one that was read"
            raise AssayError("I005", what, where=source.name)
    if base not in ("csv", "tsv", "jsonl"):
        return None
    with Opened(source.name, _UNLIMITED) as file:
        text = blocks(file, packing, _UNLIMITED)
        if base == "jsonl":
            found = _nth(_spans_of_lines(_pieces(text), source.name), row)
        else:
            if dialect.encoding != "utf-8":
                text = as_utf8(text, dialect.encoding, source.name)
            rows = _spans_of_rows(_pieces(text), source.name, dialect.named(base))
            found = _nth(rows, row)
        file.digest()  # to the end, or closing it says that it was cut
    return found


def _nth(spans: Iterator[np.ndarray], row: int) -> Span:
    """Return the span of the row-th of all spans; each array has the shape (n, 2)."""
    seen = 0
    for some in spans:
        if row < seen + len(some):
            start, end = some[row - seen].tolist()
            return start, end
        seen += len(some)
    message = f"the file has {seen} rows, and row {row} was asked for"
    raise IndexError(message)


def _pieces(text: Iterator[bytes]) -> Pieces:
    """Yield the text in small pieces, each with whether it is the last one."""
    ahead = b""
    for block in text:
        for start in range(0, len(block), _PIECE):
            if ahead:
                yield ahead, False
            ahead = block[start : start + _PIECE]
    yield ahead, True


def _spans_of_rows(pieces: Pieces, name: str, dialect: Dialect) -> Iterator[np.ndarray]:
    """Yield where the rows of CSV text lie, its header left out, as csv_source counts them."""
    mark, quote = dialect.delimiter.encode(), dialect.quote.encode()
    rest, start, width = b"", -1, 0
    for piece, is_last in pieces:
        block = rest + piece
        if start < 0:
            start, block = _begun(block, name)
        rows = find_rows(block, mark, quote, is_last=is_last)
        is_full = rows.ends > rows.starts
        first = 0
        if not width and is_full.any():
            header = int(np.argmax(is_full))
            width, first = int(rows.cells[header]), header + 1
        if width:
            is_row = is_full if width > 1 else np.ones(len(is_full), bool)
            spans = np.stack([rows.starts, rows.ends], axis=1)[first:]
            yield start + spans[is_row[first:]]
        rest = block[rows.used :]
        start += rows.used


def _spans_of_lines(pieces: Pieces, name: str) -> Iterator[np.ndarray]:
    """Yield where the lines of JSON text lie that are not blank, as jsonl_source counts them."""
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


def _begun(block: bytes, name: str) -> tuple[int, bytes]:
    """Return how long the byte order mark is, and the text's first bytes after it."""
    text, has_mark = without_mark(block, name)
    return (len(block) - len(text)) if has_mark else 0, text
