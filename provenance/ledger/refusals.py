"""The errors of a ledger, or a run's files, that do not match what was recorded."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from provenance.base.errors import AssayError, Notice
from provenance.base.no_follow import IrregularError

_GENERAL = "restore the file from a backup of the store; `assay verify` lists every problem"
_FIXES = {
    "L006": "",  # the table's advice: a stray file must not be restored
    "L007": "set ASSAY_SIGNING_KEY to the key of this store, or run `assay ledger rotate`",
    "L011": "if the file was recorded, restore it from a backup of the store; if not, inspect it, "
    "then remove it; `assay verify` lists every problem",
    "L013": "",
}


def broken(code: str, what: str, path: Path) -> AssayError:
    """Return the error for a ledger or a run that does not hold, with advice for its code."""
    return AssayError(code, what, where=str(path), fix=_FIXES.get(code, _GENERAL))


def error_of(notice: Notice) -> AssayError:
    """Return the error for a break that a verification found."""
    return broken(notice.code.removeprefix("ASSAY-"), notice.message, Path(notice.where))


def refuse(breaks: Iterable[Notice]) -> None:
    """Raise the error for the first of the breaks, if there are any."""
    for notice in breaks:
        raise error_of(notice)


def notice_of(error: AssayError) -> Notice:
    """Return an error as a break in a list of breaks."""
    return Notice(error.code, error.what, error.where)


def why(error: OSError | ValueError) -> str:
    """Return the predicate that says why something cannot be read: `is missing`."""
    if isinstance(error, FileNotFoundError):
        return "is missing"
    if isinstance(error, IrregularError):
        return f"is {error.kind}"
    if isinstance(error, OSError):
        return f"cannot be read ({os.strerror(error.errno or 0)})"
    return str(error)


@contextlib.contextmanager
def readable(subject: str, path: Path) -> Iterator[None]:
    """Raise L001 if the block finds a part of the ledger missing, L003 if it cannot read it."""
    try:
        yield
    except (OSError, ValueError) as error:
        code = "L001" if isinstance(error, FileNotFoundError) else "L003"
        raise broken(code, f"{subject} {why(error)}", path) from error
