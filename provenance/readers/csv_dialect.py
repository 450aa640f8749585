"""Dialects: how a CSV text is written, according to a contract.

A dialect is never guessed while a source is read: the default applies unless the contract says
otherwise, and a text that does not match is refused. Only `assay init` detects the dialect from a
sample (csv_detection), and reports it.
"""

import codecs
import dataclasses

import numpy as np

from provenance.rows.column_types import ColumnSpec

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
_MANY = 0.3  # share of NUL bytes at a position that plain text with a stray NUL never reaches
DECIMALS = (".", ",")
# characters between groups of three digits: also the no-break spaces of French and Swiss exports
THOUSANDS = (",", ".", " ", "'", "\u2019", "\u00a0", "\u202f")
MOST_LINES = 1_000  # that `skip` or `footer` may leave out: more is a table of its own


@dataclasses.dataclass(frozen=True, slots=True)
class Dialect:
    """How a CSV text is written, and which of its lines are the table.

    Attributes:
        delimiter: one ASCII character; empty for the default of the file's extension.
        quote: one ASCII character, doubled inside a quoted cell; empty for none.
        encoding: one of ENCODINGS.
        skip: lines before the header, blank ones included.
        comment: one ASCII character; a line that begins with it is no row; empty for none.
        footer: lines after the last row, blank and comment lines not counted.
        decimal: one of DECIMALS.
        thousands: one of THOUSANDS, or empty: numbers may then have groups of three digits.
        trim: whether blanks around cells and column names are left out.
        index: what a first column without a name is called; empty if it must have one.
    """

    delimiter: str = ""
    quote: str = '"'
    encoding: str = "utf-8"
    skip: int = 0
    comment: str = ""
    footer: int = 0
    decimal: str = "."
    thousands: str = ""
    trim: bool = False
    index: str = ""

    def named(self, base: str) -> "Dialect":
        """Return the dialect with the default delimiter of a format, csv or tsv, filled in."""
        return dataclasses.replace(
            self, delimiter=self.delimiter or ("\t" if base == "tsv" else ",")
        )

    def of_columns(self, specs: tuple[ColumnSpec, ...] | None) -> tuple[ColumnSpec, ...] | None:
        """Return the columns' types with this dialect's way to write numbers."""
        if specs is None or (self.decimal, self.thousands, self.trim) == (".", "", False):
            return specs
        return tuple(
            dataclasses.replace(
                spec, decimal=self.decimal, thousands=self.thousands, trim=self.trim
            )
            for spec in specs
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


def may_comment(char: str) -> bool:
    """Return whether a character can begin a comment line without being mistaken for a cell."""
    return len(char) == 1 and char.isascii() and char.isprintable() and char in "#%;!/*|@$&~^"


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
