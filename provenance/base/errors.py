"""The one error of Assay: a code, what happened, where, and how to fix it.

AssayError
└── every refusal; its code's first letter says where it arose:
    I ingest, V value, C contract or command line, K check, L ledger, E environment, G gate.
The exit code follows from the letter (`provenance.base.codes.exit_of`).
"""

import dataclasses

from provenance.base.codes import CODES, exit_of

MOST = 600  # characters of a message: a name in it may be a megabyte of somebody's YAML


class AssayError(Exception):
    """A refusal that a person can act on; never carries a cell's value."""

    def __init__(self, code: str, what: str, *, where: str = "", fix: str = "") -> None:
        """Name the refusal; `code` is short (`I005`); without `fix` its page says what to do."""
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
        """Survive the way through a process pool."""
        return _rebuild, (self.code.removeprefix("ASSAY-"), self.what, self.where, self.fix, "")

    @property
    def exit_code(self) -> int:
        """Return the exit code that the code's letter stands for."""
        return exit_of(self.code)

    def as_dict(self) -> dict[str, str]:
        """Return the object that stands under `error` in `--json`."""
        return {"code": self.code, "message": self.what, "where": self.where, "fix": self.fix}


@dataclasses.dataclass(frozen=True, slots=True)
class Notice:
    """A line of `reasons` or `warnings`: a code, a message and a place."""

    code: str
    message: str
    where: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return the object that stands in `--json`."""
        return {"code": self.code, "message": self.message, "where": self.where}


def printable(text: str) -> str:
    """Escape what a terminal would act on: control characters and text-direction marks."""
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)


def _short(text: str) -> str:
    """Return the text, without its middle if it is very long."""
    return text if len(text) <= MOST else f"{text[: MOST * 2 // 3]} ... {text[-MOST // 4 :]}"


def _rebuild(code: str, what: str, where: str, fix: str, _: str) -> AssayError:
    return AssayError(code, what, where=where, fix=fix)
