"""A CSV file of decisions: read as a whole, and written for a person to fill in."""

import csv
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipelines.review import faults_told
from pipelines.review.recording import Ask
from pipelines.review.selection import Selection
from pipelines.store.opinions import CHANGES, WORDS
from provenance.base import no_follow
from provenance.base.errors import AssayError

ALIASES = {"_row": "row", "action": "decision", "label": "value", "by": "reviewer"}
SELECTORS = ("row", "group", "rule", "key")
TOLD = ("fate", "why", "cell")  # columns of an exported file that only tell
KNOWN = {*SELECTORS, *TOLD, "decision", "column", "value", "reason", "reviewer"}
HEADER = ("group", "row", "key", "fate", "rule", "column", "cell", "why",
          "decision", "value", "reason")  # fmt: skip
FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would calculate
WITHOUT_VALUE = frozenset(WORDS) - {*CHANGES}
MAX_BYTES = 64 << 20


def read(path: Path, reviewer: str) -> list[Ask]:
    """Return the decisions of a file; lines without a decision are left out.

    Args:
        path: of the file.
        reviewer: who decides; a line that names somebody else is refused.

    Raises:
        AssayError: ASSAY-C014 with the line of everything that is no decision.
    """
    rows = csv.reader(io.StringIO(_content(path), newline=""), strict=True)
    asks, faults = [], []
    try:
        names = [name.strip().lower() for name in next(rows, [])]
        header = [ALIASES.get(name, name) for name in names]
        _check_header(header, path)
        for cells in rows:
            where = f"{path}:{rows.line_num}"
            try:
                asks += _asked(header, cells, where, reviewer) if cells else []
            except AssayError as error:
                faults.append(faults_told.at(error, where))
    except csv.Error as error:
        what, where = f"not valid CSV: {error}", f"{path}:{rows.line_num}"
        raise AssayError("C014", what, where=where) from error
    faults_told.refuse(faults)
    if not asks:
        fix = "add a line for each row below the header, or fill in the column decision"
        raise AssayError("C014", "the file contains no decisions", where=str(path), fix=fix)
    return asks


def lines(cells: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a file to fill in, with HEADER; no cell is taken for a formula."""
    for row in (HEADER, *cells):
        sink = io.StringIO()
        csv.writer(sink, lineterminator="\n").writerow(map(_plain, row))
        yield sink.getvalue()


def _plain(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULAS) else cell


def _content(path: Path) -> str:
    """Return the text of a file of decisions; C014 if it cannot be read."""
    fix = "give a regular CSV file that you may read, UTF-8, at most 64 MiB"
    try:
        with os.fdopen(no_follow.open_given(path), "rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) <= MAX_BYTES:
            return content.decode("utf-8-sig")
        why = "is larger than 64 MiB"
    except no_follow.IrregularError as error:
        why = f"is {error.kind}"
    except OSError as error:
        why = f"cannot be read ({os.strerror(error.errno or 0)})"
    except UnicodeDecodeError:
        why = "is not UTF-8"
    raise AssayError("C014", f"the file of decisions {why}", where=str(path), fix=fix)


def _check_header(header: list[str], path: Path) -> None:
    fix = "name the columns decision and row (or group, rule or key); value, reason and column too"
    if "decision" not in header or not set(SELECTORS) & set(header):
        missing = "decision" if "decision" not in header else "row"
        what = f"the header lacks the column {missing}"
        raise AssayError("C014", what, where=f"{path}:1", fix=fix)
    if len(set(header)) != len(header) or set(header) - KNOWN:
        what = "the header repeats a column or names an unknown one"
        raise AssayError("C014", what, where=f"{path}:1", fix=fix)


def _asked(header: list[str], cells: list[str], where: str, reviewer: str) -> list[Ask]:
    """Return the decision of a line, none if its decision is empty."""
    if len(cells) != len(header):
        what = f"the line has {len(cells)} fields, the header has {len(header)}"
        raise AssayError("C014", what, fix="give every line a field for each column")
    item = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
    if not item["decision"]:
        return []
    if item.get("reviewer") not in (None, "", reviewer):
        what = f"the line names another reviewer; you are {reviewer}"
        raise AssayError("C014", what, fix="leave the reviewer out: it is recorded by itself")
    # a row is more precise than its group, which an exported file names too
    name = next((name for name in SELECTORS if item.get(name)), "row")
    decision = item["decision"].lower()
    if item.get("value") and decision in WITHOUT_VALUE:
        what = f"{decision} takes no value; was relabel or correct meant?"
        raise AssayError("C014", what, fix="leave value empty, or write the other decision")
    return [
        Ask(
            Selection(**{name: item.get(name, "")}),
            decision,
            (item.get("column") or None) if decision == "correct" else None,
            item.get("value") or None,
            item.get("reason") or None,
            where,
        )
    ]
