"""The header of a CSV: the columns that it names, and whether it is a header at all."""

import csv
import re
import string
from collections import Counter
from collections.abc import Iterable

import pyarrow as pa

from provenance.base.errors import AssayError
from provenance.base.limits import Limits
from provenance.readers.csv_dialect import DELIMITERS, Dialect
from provenance.readers.csv_rows import find_rows
from provenance.rows.cast import cast
from provenance.rows.column_types import ColumnSpec
from provenance.rows.shards import ADDED, RESERVED

_LIKE_DATA = re.compile(
    r"[+-]?(?:[0-9]+(?:[.,][0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[0-9]{4}-[0-9]{2}-[0-9]{2}.*"
)
_YEAR = re.compile(r"(?:19|20)[0-9]{2}")
_FOLDED = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_LONGEST_NAME = 64  # of a name that a message repeats


def parse_header(line: bytes, dialect: Dialect, name: str) -> list[str]:
    """Return the cells of a header line.

    Raises:
        AssayError: ASSAY-I022 or I023 if it is not text, I025 if its quotes do not match.
    """
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        what = f"the header is not valid UTF-8 at byte {error.start}"
        raise AssayError("I022", what, where=name, fix="export the file as UTF-8") from None
    if "\0" in text:
        fix = "export the file again"
        raise AssayError("I023", "the header contains a NUL byte", where=name, fix=fix)
    cells = cells_of(line, dialect)
    if cells is None:
        what = "the quotes in the header do not match"
        raise AssayError("I025", what, where=name, fix="repair the header")
    return cells


def cells_of(line: bytes, dialect: Dialect) -> list[str] | None:
    """Return the cells of a line as a header has them; None if it cannot be split."""
    try:
        (cells,) = _reader(line.decode(), dialect)
    except (csv.Error, ValueError):
        return None
    cells = [cell.strip(" \t") for cell in cells] if dialect.trim else cells
    if dialect.index and cells and not cells[0].strip():
        cells[0] = dialect.index
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
    """Refuse a first line that is not a header, or a header that does not match the contract.

    Args:
        names: cells of the header.
        first: cells of the first row after it, None if there is none.
        specs: the contract's columns, None without a contract.
        where: the file, for messages.

    Raises:
        AssayError: ASSAY-I018, I026 or I027.
    """
    wanted = None if specs is None else [spec.name for spec in specs]
    if _is_data(names, first, specs):
        what = "the first line looks like data, not column names"
        if wanted is not None:
            what += f"; the contract expects {_listed(wanted)}"
        raise AssayError("I018", what, where=where, fix="add a header line")
    outside = frozenset(spec.name for spec in specs or () if spec.outside)
    check_names(names, wanted, where, outside)


def check_names(
    names: list[str],
    wanted: list[str] | None,
    where: str,
    outside: frozenset[str] = frozenset(),
) -> None:
    """Refuse column names that are empty, duplicate, reserved, or not the contract's.

    Names that are given `outside` of the file may be missing.

    Raises:
        AssayError: ASSAY-I018, I026 or I027.
    """
    for place, name in enumerate(names, 1):
        if not name.strip():
            what = f"column {place} of {len(names)} has no name"
            fix = "name it in the header"
            if place == 1 and len(names) > 1:
                fix += ", or set assay.csv: {index: NAME} in the contract"
            raise AssayError("I027", what, where=where, fix=fix)
    for name, count in Counter(names).items():
        if count > 1:
            places = ", ".join(str(p) for p, n in enumerate(names, 1) if n == name)
            shown = f" {name!r}" if _may_show(names, wanted) else ""
            what = f"the column name{shown} occurs {count} times (columns {places})"
            raise AssayError("I026", what, where=where, fix="rename all but one")
    _refuse_folded(names, wanted, where)
    if reserved := RESERVED & set(names):
        name = min(reserved)
        code, use = ("I026", " for the quarantine") if name in ADDED else ("I018", "")
        what = f"the column name {name} is reserved{use}"
        raise AssayError(code, what, where=where, fix="rename the column")
    if wanted is not None and not set(wanted) - outside <= set(names) <= set(wanted):
        raise _mismatch(names, [name for name in wanted if name not in outside], where)


def _refuse_folded(names: list[str], wanted: list[str] | None, where: str) -> None:
    """Refuse names that are one to SQL, which ignores the case of A to Z (ASSAY-I026)."""
    firsts: dict[str, str] = {}
    for name in names:
        first = firsts.setdefault(name.translate(_FOLDED), name)
        if first != name:
            shown = f": {first!r} and {name!r}" if _may_show(names, wanted) else ""
            what = f"two column names differ in case only{shown}"
            raise AssayError("I026", what, where=where, fix="rename one; SQL ignores case")


def _mismatch(names: list[str], wanted: list[str], where: str) -> AssayError:
    missing = [name for name in wanted if name not in names]
    unknown = [name for name in names if name not in wanted]
    parts = [f"missing: {_listed(missing)}"] if missing else []
    if unknown and _may_show(names, wanted):
        parts.append(f"not in the contract: {_listed(unknown)}")
    elif unknown:
        parts.append(f"{len(unknown)} of {len(names)} columns are not in the contract")
    fix = "repair the export, or correct the contract's properties"
    return AssayError("I018", "; ".join(parts), where=where, fix=fix)


def _may_show(names: list[str], wanted: list[str] | None) -> bool:
    """Return whether a message may repeat names: they must be names, not someone's data."""
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
    line: bytes, names: list[str], dialect: Dialect, where: str, *, has_contract: bool
) -> None:
    """Refuse a header of one cell that another delimiter would split.

    Args:
        line: the header.
        names: its cells.
        dialect: with which it was split.
        where: the file, for messages.
        has_contract: whether there is a contract, which can name another delimiter.

    Raises:
        AssayError: ASSAY-I038.
    """
    if len(names) > 1:
        return
    for other, name in DELIMITERS.items():
        rows = find_rows(line, other.encode(), dialect.quote.encode(), is_last=True)
        if other != dialect.delimiter and rows.cells.max(initial=1) > 1:
            what = f"the header is a single cell that contains a {name}, probably the delimiter"
            shown = "\\t" if other == "\t" else other
            fix = f'if so, set assay.csv: {{delimiter: "{shown}"}} in the contract'
            if not has_contract:
                fix = f'if so, use assay init ... --delimiter "{shown}"; else rename the column'
            raise AssayError("I038", what, where=where, fix=fix)


def _is_data(
    names: list[str], first: list[str] | None, specs: tuple[ColumnSpec, ...] | None
) -> bool:
    if specs is not None:
        return _fits(names, specs)
    return looks_like_data(names, first)


def is_like_data(cell: str) -> bool:
    """Return whether a cell is a number or begins with a date."""
    return bool(_LIKE_DATA.fullmatch(cell))


def looks_like_data(names: list[str], first: list[str] | None) -> bool:
    """Return whether a header has numbers or dates exactly where the row below it has them."""
    numeric = [bool(_LIKE_DATA.fullmatch(name)) for name in names]
    if not any(numeric) or first is None or len(first) != len(names):
        return False
    if all(_YEAR.fullmatch(n) for n, is_numeric in zip(names, numeric, strict=True) if is_numeric):
        return False  # one column per year is a legitimate header
    below = [bool(_LIKE_DATA.fullmatch(cell)) for cell in first]
    return below == numeric


def _fits(names: list[str], specs: tuple[ColumnSpec, ...]) -> bool:
    """Return whether a header looks like a row of the contract's types, not like its names."""
    specs = tuple(spec for spec in specs if not spec.outside)
    wanted = {spec.name for spec in specs}
    if len(names) != len(specs) or wanted & set(names):
        return False
    typed = [(n, s) for n, s in zip(names, specs, strict=True) if s.logical != "string" and n]
    cells = [cast(pa.array([name]), spec)[1][0].as_py() is None for name, spec in typed]
    return bool(cells) and all(cells)


def refuse_wide(count: int, limits: Limits, where: str) -> None:
    """Refuse a source with too many columns (ASSAY-I009)."""
    if count > limits.max_columns:
        what = f"{count:,} columns exceed the limit of {limits.max_columns:,}"
        raise AssayError("I009", what, where=where, fix="raise assay.limits.max_columns")
