"""Assay's only exception: a code, what happened, where, and how to fix it.

The first letter of the code says where the error arose: I ingest, V value, C contract or command
line, K check, L ledger, E environment, G gate. It decides the exit code (`base.codes.exit_of`).
"""

import dataclasses

from provenance.base.codes import CODES, exit_of

MOST = 600  # characters of a message, in which a name could be a megabyte of someone's YAML


class AssayError(Exception):
    """An error that a person can act on; it never contains a cell's value."""

    def __init__(self, code: str, what: str, *, where: str = "", fix: str = "") -> None:
        """Describe the error; `code` is short (`I005`), `fix` by default the table's advice."""
        super().__init__(code, what, where, fix)
        self.code = f"ASSAY-{code}"
        self.what = _short(printable(what))
        self.where = printable(where)
        self.fix = _short(printable(fix or CODES[code][1]))

    def __str__(self) -> str:
        """Return the message as the terminal shows it."""
        lines = [f"{self.code}: {self.what}"]
        lines += [f"  where: {self.where}"] if self.where else []
        lines += [f"  fix:   {self.fix}"] if self.fix else []
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, tuple[str, str, str, str]]:
        """Make the error picklable, so that it can leave a process pool."""
        return _rebuild, (self.code.removeprefix("ASSAY-"), self.what, self.where, self.fix)

    @property
    def exit_code(self) -> int:
        """Return the exit code that the code implies."""
        return exit_of(self.code)

    def as_dict(self) -> dict[str, str]:
        """Return the `error` object of `--json`."""
        return {"code": self.code, "message": self.what, "where": self.where, "fix": self.fix}


@dataclasses.dataclass(frozen=True, slots=True)
class Notice:
    """An item of `reasons` or `warnings`: a code, a message and a place."""

    code: str
    message: str
    where: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return the object for `--json`."""
        return {"code": self.code, "message": self.message, "where": self.where}


def frames(error: BaseException) -> str:
    """Return the traceback of an exception and of its causes, for `--debug`.

    Of an exception that is not Assay's own only the type is shown: its text may quote a cell.
    """
    import traceback

    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    name = error.code if isinstance(error, AssayError) else type(error).__name__
    notes = "".join(f"{note}\n" for note in getattr(error, "__notes__", ()))
    own = "".join(traceback.format_tb(error.__traceback__)) + f"{name}\n{notes}"
    return f"{frames(before)}which led to\n{own}" if before else own


def printable(text: str) -> str:
    """Escape characters that a terminal would act on: control and text-direction characters."""
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)


def _short(text: str) -> str:
    """Return the text, with the middle of a very long one cut out."""
    return text if len(text) <= MOST else f"{text[: MOST * 2 // 3]} ... {text[-MOST // 4 :]}"


def _rebuild(code: str, what: str, where: str, fix: str) -> AssayError:
    return AssayError(code, what, where=where, fix=fix)
