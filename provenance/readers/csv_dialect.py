"""Dialects: how a CSV text is written, according to a contract or to a sample.

A dialect is never guessed while a source is read: the default applies unless the contract says
otherwise, and a text that does not match is refused. Only `assay init` detects the dialect from a
sample, and reports it.
"""

import codecs
import dataclasses
import itertools
import re
from collections.abc import Iterable

import numpy as np

from provenance.readers.csv_rows import find_rows

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
# text encodings by Python's names; each can be converted to UTF-8 block by block
ENCODINGS = frozenset(
    {"utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"}
    | {f"iso8859-{n}" for n in (*range(1, 12), *range(13, 17))}
    | {f"cp{n}" for n in (437, 850, 852, 866, 874, *range(1250, 1259))}
    | {"koi8-r", "koi8-u", "mac-roman", "shift_jis", "cp932", "euc_jp", "gbk", "gb18030"}
    | {"big5", "euc_kr", "cp949"}
)
_WIDE_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HEAD = 512
_SAMPLE = 1 << 20  # bytes that are searched for the delimiter
_MANY = 0.3  # share of NUL bytes at a position that plain text with a stray NUL never reaches
_ALIKE = 0.9  # share of rows that must have as many cells as the header
_QUOTES = ('"', "'")
_WESTERN = "cp1252"  # the most common single-byte encoding
_STRAY = re.compile("[\udc80-\udcff]")
_BEYOND = re.compile("[^\x00-\x7f\udc80-\udcff]")


@dataclasses.dataclass(frozen=True, slots=True)
class Dialect:
    """How a CSV text is written.

    Attributes:
        delimiter: one ASCII character; empty for the default of the file's extension.
        quote: one ASCII character, doubled inside a quoted cell; empty for none.
        encoding: one of ENCODINGS.
    """

    delimiter: str = ""
    quote: str = '"'
    encoding: str = "utf-8"

    def named(self, base: str) -> "Dialect":
        """Return the dialect with the default delimiter of a format, csv or tsv, filled in."""
        return dataclasses.replace(
            self, delimiter=self.delimiter or ("\t" if base == "tsv" else ",")
        )


def codec_of(name: str) -> str | None:
    """Return Python's name of an encoding; None if it is unknown or not supported."""
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        return None
    found = {"ascii": "utf-8", "utf-8-sig": "utf-8"}.get(found, found)
    return found if found in ENCODINGS else None


def may_delimit(char: str) -> bool:
    """Return whether a character can separate cells without being mistaken for their content."""
    if len(char) != 1 or not char.isascii():
        return False
    return char == "\t" or (char.isprintable() and not char.isalnum() and char not in "\"'.+-_")


def wide_of(head: bytes) -> str | None:
    """Return the encoding of a text whose first bytes show UTF-16 or UTF-32, else None."""
    head = head[:_HEAD]
    for mark, name in _WIDE_MARKS:
        if head.startswith(mark):
            return name
    head = head[: len(head) // 4 * 4]
    if not head:
        return None
    nul = (np.frombuffer(head, np.uint8) == 0).reshape(-1, 4).mean(axis=0) > _MANY
    if nul[1:3].all() and nul[0] != nul[3]:
        return "utf-32-be" if nul[0] else "utf-32-le"
    if nul[0] != nul[1] and nul[2] != nul[3]:
        return "utf-16-be" if nul[0] else "utf-16-le"
    return "utf-16" if nul.any() else None


def detect(blocks: Iterable[bytes], base: str, delimiter: str | None = None) -> Dialect:
    """Return the dialect that a text is most likely written in.

    Args:
        blocks: of the text, from its start; all of them are read.
        base: csv or tsv, which decides the default delimiter.
        delimiter: if it is known; the rest is detected.
    """
    remaining = iter(blocks)
    head = next(remaining, b"")
    wide = wide_of(head)
    if wide == "utf-16" and not head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        wide = None  # stray NUL bytes without a pattern
    encoding = wide or _narrow(itertools.chain((head,), remaining))
    text = head[: 4 * _SAMPLE].decode(encoding, "replace").removeprefix("\ufeff")
    sample, is_whole = text[:_SAMPLE].encode(), len(head) <= _SAMPLE
    usual = delimiter or Dialect().named(base).delimiter
    marks = [delimiter] if delimiter else sorted(DELIMITERS, key=lambda mark: mark != usual)
    tried = [Dialect(mark, quote, encoding) for mark in marks for quote in _QUOTES]
    scores = [_score(sample, dialect, is_whole=is_whole) for dialect in tried]
    best = max(scores)
    found = tried[scores.index(best)] if best[0] else Dialect()
    return found if best[0] > 1 else Dialect(usual, found.quote, encoding)


def _narrow(blocks: Iterable[bytes]) -> str:
    """Return UTF-8, or a single-byte encoding if most non-ASCII bytes are not valid UTF-8."""
    decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
    stray = beyond = 0
    for block in blocks:
        if not block.isascii():
            text = decode(block)
            stray += len(_STRAY.findall(text))
            beyond += len(_BEYOND.findall(text))
    return _WESTERN if stray > beyond else "utf-8"


def _score(sample: bytes, dialect: Dialect, *, is_whole: bool) -> tuple[int, int]:
    """Return the number of cells per row of a sample, and the total number of quoted cells.

    No cells if too few rows have as many as the first, or if single quotes do not fit.
    """
    marks = dialect.delimiter.encode(), dialect.quote.encode()
    rows = find_rows(sample, *marks, is_last=is_whole)
    cells = rows.cells[rows.ends > rows.starts]
    is_alike = len(cells) and (cells == cells[0]).mean() >= _ALIKE
    quoted = len(rows.closes)
    is_single = dialect.quote == "'"
    if not is_alike or (is_single and (not quoted or rows.is_open or rows.broken.any())):
        return 0, 0
    return int(cells[0]), quoted
