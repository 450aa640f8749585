"""A value of a contract with its place in the file, read as the type that the caller expects.

Every refusal names file, line and column. Numbers and words that YAML 1.1 and 1.2 read differently
(`017`, `yes`) are refused wherever the difference could change what the contract means.
"""

import dataclasses
import difflib
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from provenance.base.errors import AssayError

OLD_WORDS = {"yes": True, "no": False, "on": True, "off": False}  # booleans in YAML 1.1 only
MOST_NUMBER = 1 << 127  # whole numbers below it are exact in the engine that runs the rules
MOST_INTEGER = (1 << 63) - 1
_OCTAL = re.compile(r"[-+]?0[0-9_]+\Z")
_PLAIN = re.compile(r"[\w.-]{1,100}")  # characters of a setting's name
_SHOWN = 12  # names that a message lists
_NAME = 100  # characters of a name that is worth comparing with others
_NAMES = 5_000  # names that are worth comparing


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """A value and its place.

    Attributes:
        value: a scalar, a list of nodes or a dict from keys to nodes.
        file, line, column: the place; both numbers count from 1.
        keys: of a mapping, the place of each key.
        text: of a scalar, its spelling in the file.
        is_plain: whether a scalar is written without quotes.
    """

    value: Any
    file: str
    line: int
    column: int
    keys: dict[str, tuple[int, int]] = dataclasses.field(default_factory=dict)
    text: str = ""
    is_plain: bool = True

    @property
    def where(self) -> str:
        """Return `file:line:column`."""
        return f"{self.file}:{self.line}:{self.column}"

    @property
    def short(self) -> str:
        """Return `name.yaml:12`, for rules and notices."""
        return f"{Path(self.file).name}:{self.line}"

    def fail(self, code: str, what: str, fix: str = "") -> AssayError:
        """Return an error at this place."""
        return AssayError(code, what, where=self.where, fix=fix)

    def fail_at(self, key: str, code: str, what: str, fix: str = "") -> AssayError:
        """Return an error at the place of one of the mapping's keys."""
        line, column = self.keys[key]
        return AssayError(code, what, where=f"{self.file}:{line}:{column}", fix=fix)

    def mapping(self, what: str, known: Iterable[str]) -> dict[str, "Node"]:
        """Return the node as a mapping of known keys; C005 for another kind, C004 for others."""
        found, names = self.anything(what), sorted(known)
        for key in found:
            if key not in names:
                shown = f"unknown key '{key}'" if _may_show(key, found, names) else "an unknown key"
                raise self.fail_at(key, "C004", f"{shown} in {what}", fix=nearest(key, names))
        return found

    def anything(self, what: str) -> dict[str, "Node"]:
        """Return the node as a mapping of any keys."""
        if not isinstance(self.value, dict):
            raise self.fail("C005", f"{what} must be a mapping")
        found: dict[str, Node] = self.value
        return found

    def items(self, what: str) -> list["Node"]:
        """Return the node as a list."""
        if not isinstance(self.value, list):
            raise self.fail("C005", f"{what} must be a list", fix="begin each item with `- `")
        return self.value

    def string(self, what: str) -> str:
        """Return the node as a text; a number or a bare yes/no is refused."""
        if isinstance(self.value, str) and self.value:
            return self.value
        fix = f'put it in quotes: "{self.text}"' if self.text else "write text that is not empty"
        raise self.fail("C005", f"{what} must be a string", fix=fix)

    def boolean(self, what: str) -> bool:
        """Return the node as true or false; yes, no, on and off are refused."""
        self._refuse_two_readings(what)
        if isinstance(self.value, bool):
            return self.value
        raise self.fail("C005", f"{what} must be true or false")

    def number(self, what: str) -> int | float:
        """Return the node as a finite number, a whole one of at most 38 digits."""
        self._refuse_two_readings(what)
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            is_quoted = isinstance(self.value, str) and not self.is_plain
            fix = "write it without quotes" if is_quoted else "write digits, such as 1000 or 2.5"
            raise self.fail("C005", f"{what} must be a number", fix=fix)
        if isinstance(self.value, float) and not math.isfinite(self.value):
            raise self.fail("C005", f"{what} must be a finite number", fix="leave it out")
        if isinstance(self.value, int) and abs(self.value) >= MOST_NUMBER:
            raise self.fail("C005", f"{what} has too many digits", fix="use at most 38 digits")
        return self.value

    def integer(self, what: str) -> int:
        """Return the node as an integer of 64 bits."""
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            raise self.fail("C005", f"{what} must be an integer")
        self._refuse_two_readings(what)
        if not -MOST_INTEGER - 1 <= self.value <= MOST_INTEGER:
            raise self.fail("C005", f"{what} does not fit into 64 bits")
        return self.value

    def choice(self, what: str, known: Iterable[str]) -> str:
        """Return the node as one of the known words."""
        word, names = self.string(what), list(known)
        if word not in names:
            raise self.fail("C005", f"{what} cannot be '{word}'", fix=nearest(word, names))
        return word

    def scalar(self, what: str) -> Any:
        """Return the node as a text, a finite number, true, false or None."""
        if isinstance(self.value, dict | list):
            raise self.fail("C005", f"{what} must be one value")
        self._refuse_two_readings(what)
        is_number = isinstance(self.value, int | float) and not isinstance(self.value, bool)
        return self.number(what) if is_number else self.value

    def plain(self) -> Any:
        """Return the node as plain data, for a contract that was loaded: dicts, lists, scalars."""
        if isinstance(self.value, dict):
            return {key: item.plain() for key, item in self.value.items()}
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        return self.value

    def _refuse_two_readings(self, what: str) -> None:
        if not self.is_plain or isinstance(self.value, str | dict | list):
            return
        if self.text.lower() in OLD_WORDS:
            meant = "true" if OLD_WORDS[self.text.lower()] else "false"
            what = f"{what}: '{self.text}' is {meant} in YAML 1.1 and a string in YAML 1.2"
            raise self.fail("C005", what, fix=f'write {meant}, or "{self.text}" with the quotes')
        if isinstance(self.value, int) and _OCTAL.match(self.text):
            what = f"{what}: '{self.text}' is an octal number in YAML 1.1"
            raise self.fail(
                "C005", what, fix=f'write {self.value}, or "{self.text}" with the quotes'
            )


def _may_show(key: str, found: Iterable[str], names: list[str]) -> bool:
    """Return whether a key is misspelt, rather than a line of some file that is not a contract.

    A line of /etc/shadow ends with a colon, so to YAML it is a key.
    """
    if not _PLAIN.fullmatch(key):
        return False
    return not set(names).isdisjoint(found) or bool(difflib.get_close_matches(key, names, n=1))


def nearest(name: str, known: Iterable[str]) -> str:
    """Return advice: the nearest of the known names, or a list of them."""
    names = list(known)
    near = [item for item in names[:_NAMES] if len(item) <= _NAME]
    close = difflib.get_close_matches(name, near, n=1) if len(name) <= _NAME else []
    if not close:  # a name that differs in case only is near, at any length
        close = [item for item in names if item.lower() == name.lower()]
    if close:
        return f"did you mean '{close[0]}'?"
    shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    return f"known names: {shown}"
