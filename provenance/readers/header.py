"""The header of a CSV: which columns it names, and whether it is a header at all."""

import csv
import re
from collections import Counter
from collections.abc import Iterable

import pyarrow as pa

from provenance.base.errors import AssayError
from provenance.base.limits import Limits
from provenance.readers.csv_dialect import DELIMITERS, Dialect
from provenance.readers.csv_rows import find_rows
from provenance.rows.cast import cast
from provenance.rows.column_types import ColumnSpec
from provenance.rows.shards import DIGEST, ROW

_LIKE_DATA = re.compile(
    r"[+-]?(?:[0-9]+(?:[.,][0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[0-9]{4}-[0-9]{2}-[0-9]{2}.*"
)
_YEAR = re.compile(r"(?:19|20)[0-9]{2}")
_OURS = frozenset({"_row", "_reasons"})  # what the quarantine adds to the source's own columns
RESERVED = _OURS | {ROW, DIGEST}
_LONGEST_NAME = 64  # of a name that a message repeats


def parse_header(line: bytes, dialect: Dialect, name: str) -> list[str]:
    """Return the cells of a header line.

    Raises:
        AssayError: ASSAY-I022 or I023 if it is no text, I025 if its quotes do not match.
    """
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        what = f"the header is not UTF-8 at byte {error.start}"
        raise AssayError("I022", what, where=name, fix="export the file as UTF-8") from None
    if "\0" in text:
        raise AssayError("I023", "the header holds a NUL byte", where=name, fix="export it again")
    try:
        (cells,) = _reader(text, dialect)
    except (csv.Error, ValueError):
        what = "the quotes of the header do not match"
        raise AssayError("I025", what, where=name, fix="repair the header") from None
    return cells


def _reader(text: str, dialect: Dialect) -> Iterable[list[str]]:
    if not dialect.quote:
        return csv.reader([text], delimiter=dialect.delimiter, quoting=csv.QUOTE_NONE)
    return csv.reader([text], delimiter=dialect.delimiter, quotechar=dialect.quote, strict=True)


def check_header(
    names: list[str],
    first: list[str] | None,
    specs: tuple[ColumnSpec, ...] | None,
    where: str,
) -> None:
    """Refuse a header that is none, or not the contract's.

    Args:
        names: cells of the header.
        first: cells of the first row after it, None if there is none.
        specs: the contract's columns, None without one.
        where: the file, for messages.

    Raises:
        AssayError: ASSAY-I018, I026 or I027.
    """
    wanted = None if specs is None else [spec.name for spec in specs]
    if _is_data(names, first, specs):
        what = "the first line looks like data, not like column names"
        if wanted is not None:
            what += f"; the contract names {_listed(wanted)}"
        raise AssayError("I018", what, where=where, fix="add a header line")
    check_names(names, wanted, where)


def check_names(names: list[str], wanted: list[str] | None, where: str) -> None:
    """Refuse columns without a name, named twice, reserved, or other than the contract's.

    Raises:
        AssayError: ASSAY-I018, I026 or I027.
    """
    for place, name in enumerate(names, 1):
        if not name.strip():
            what = f"column {place} of {len(names)} has no name"
            raise AssayError("I027", what, where=where, fix="name it in the header")
    for name, count in Counter(names).items():
        if count > 1:
            places = ", ".join(str(p) for p, n in enumerate(names, 1) if n == name)
            told = f" {name!r}" if _may_tell(names, wanted) else ""
            what = f"the column name{told} stands {count} times (columns {places})"
            raise AssayError("I026", what, where=where, fix="rename all but one")
    if reserved := RESERVED & set(names):
        name = min(reserved)
        code, why = ("I026", ": the quarantine adds it") if name in _OURS else ("I018", "")
        what = f"the column name {name} is reserved{why}"
        raise AssayError(code, what, where=where, fix="rename the column")
    if wanted is not None and set(wanted) != set(names):
        raise _mismatch(names, wanted, where)


def _mismatch(names: list[str], wanted: list[str], where: str) -> AssayError:
    missing = [name for name in wanted if name not in names]
    unknown = [name for name in names if name not in wanted]
    parts = [f"missing: {_listed(missing)}"] if missing else []
    if unknown and _may_tell(names, wanted):
        parts.append(f"not in the contract: {_listed(unknown)}")
    elif unknown:
        parts.append(f"{len(unknown)} of {len(names)} columns are not in the contract")
    fix = "repair the export, or correct the contract's properties"
    return AssayError("I018", "; ".join(parts), where=where, fix=fix)


def _may_tell(names: list[str], wanted: list[str] | None) -> bool:
    """Return whether a message may repeat names: they must be names, not somebody's data."""
    if any(len(name) > _LONGEST_NAME or not name.isprintable() for name in names):
        return False
    if any(_LIKE_DATA.fullmatch(name) or "@" in name for name in names):
        return False
    return wanted is None or 2 * len(set(names) & set(wanted)) >= len(wanted)


def _listed(names: list[str]) -> str:
    most = 20
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def refuse_delimiter(
    line: bytes, names: list[str], dialect: Dialect, where: str, *, is_promised: bool
) -> None:
    """Refuse a header of one cell that another delimiter would cut.

    Args:
        line: the header.
        names: its cells.
        dialect: that it was cut by.
        where: the file, for messages.
        is_promised: whether there is a contract, which can name another.

    Raises:
        AssayError: ASSAY-I038.
    """
    if len(names) > 1:
        return
    for other, told in DELIMITERS.items():
        rows = find_rows(line, other.encode(), dialect.quote.encode(), is_last=True)
        if other != dialect.delimiter and rows.cells.max(initial=1) > 1:
            what = f"the header is one cell that holds a {told}: the delimiter seems to be another"
            shown = "\\t" if other == "\t" else other
            fix = f'if it is, let the contract say assay.csv: {{delimiter: "{shown}"}}'
            if not is_promised:
                fix = f'if it is: assay init ... --delimiter "{shown}"; if not, rename the column'
            raise AssayError("I038", what, where=where, fix=fix)


def _is_data(
    names: list[str], first: list[str] | None, specs: tuple[ColumnSpec, ...] | None
) -> bool:
    if specs is not None:
        return _fits(names, specs)
    numeric = [bool(_LIKE_DATA.fullmatch(name)) for name in names]
    if not any(numeric) or first is None or len(first) != len(names):
        return False
    if all(_YEAR.fullmatch(n) for n, is_numeric in zip(names, numeric, strict=True) if is_numeric):
        return False  # a column per year is an honest header
    below = [bool(_LIKE_DATA.fullmatch(cell)) for cell in first]
    return below == numeric


def _fits(names: list[str], specs: tuple[ColumnSpec, ...]) -> bool:
    """Return whether a header reads like a row of the contract, and unlike its header."""
    wanted = {spec.name for spec in specs}
    if len(names) != len(specs) or wanted & set(names):
        return False
    typed = [(n, s) for n, s in zip(names, specs, strict=True) if s.logical != "string" and n]
    cells = [cast(pa.array([name]), spec)[1][0].as_py() is None for name, spec in typed]
    return bool(cells) and all(cells)


def refuse_wide(count: int, limits: Limits, where: str) -> None:
    """Refuse a source with too many columns.

    Raises:
        AssayError: ASSAY-I009.
    """
    if count > limits.max_columns:
        what = f"{count:,} columns, and the limit is {limits.max_columns:,}"
        raise AssayError("I009", what, where=where, fix="raise assay.limits.max_columns")
