"""A small, safe YAML reader: plain data with a place for every value, and nothing else.

Built from parser events, so no object is ever constructed from a document. Refused: aliases and
anchors, tags, more than one document, keys given twice, more than 32 levels or 1 MiB, bytes that
are not UTF-8. Scalars follow the core schema of YAML 1.2: `007` is a number, `2024-01-01` is text;
the words that YAML 1.1 reads as booleans (yes, no, on, off) are booleans marked as such, so that
a text that was meant is never taken for one in silence.
"""

import dataclasses
import difflib
import math
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from provenance.errors import AssayError, printable

Scalar: TypeAlias = str | int | float | bool | None

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_DIGITS = 400  # of a number; longer ones are text
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?\Z")
_QUOTES = ("'", '"', "|", ">")  # anything else is plain
_WORDS: dict[str, Scalar] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS |= {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_WORDS |= {".nan": math.nan, ".NaN": math.nan, ".NAN": math.nan, ".inf": math.inf}
_WORDS |= {"-.inf": -math.inf, "+.inf": math.inf}
_OLD_WORDS = {"yes": True, "no": False, "on": True, "off": False}


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """A value and its place.

    Attributes:
        value: a scalar, a list of nodes or a dict from keys to nodes.
        file, line, column: place, both numbers from 1.
        keys: for a mapping, the place of each key.
        text: a scalar as it is written.
    """

    value: Any
    file: str
    line: int
    column: int
    keys: dict[str, tuple[int, int]] = dataclasses.field(default_factory=dict)
    text: str = ""

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

    def mapping(self, what: str, known: Iterable[str]) -> dict[str, "Node"]:
        """Return the node as a mapping of known keys; C005 for another kind, C004 for others."""
        if not isinstance(self.value, dict):
            raise self.fail("C005", f"{what} must be a mapping")
        names = sorted(known)
        for key in self.value:
            if key not in names:
                line, column = self.keys[key]
                place = f"{self.file}:{line}:{column}"
                raise AssayError(
                    "C004", f"unknown key '{key}' in {what}", where=place, fix=nearest(key, names)
                )
        found: dict[str, Node] = self.value
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
        fix = f'put it in quotes: "{self.text}"' if self.text else "give a text"
        raise self.fail("C005", f"{what} must be a text", fix=fix)

    def boolean(self, what: str) -> bool:
        """Return the node as true or false."""
        if isinstance(self.value, bool):
            return self.value
        raise self.fail("C005", f"{what} must be true or false")

    def number(self, what: str) -> int | float:
        """Return the node as a finite number."""
        if isinstance(self.value, int | float) and not isinstance(self.value, bool):
            if math.isfinite(self.value):
                return self.value
            raise self.fail("C005", f"{what} must be a finite number", fix="leave it out")
        raise self.fail("C005", f"{what} must be a number", fix="write it without quotes")

    def integer(self, what: str, least: int | None = None) -> int:
        """Return the node as an integer, of at least `least`."""
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            raise self.fail("C005", f"{what} must be an integer")
        if least is not None and self.value < least:
            raise self.fail("C005", f"{what} must be at least {least}")
        return self.value

    def choice(self, what: str, known: Iterable[str]) -> str:
        """Return the node as one of the known words."""
        word, names = self.string(what), list(known)
        if word not in names:
            raise self.fail("C005", f"{what} cannot be '{word}'", fix=nearest(word, names))
        return word

    def plain(self) -> Any:
        """Return the node as plain data: dicts, lists, scalars."""
        if isinstance(self.value, dict):
            return {key: item.plain() for key, item in self.value.items()}
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        return self.value


def nearest(name: str, known: Iterable[str]) -> str:
    """Return advice: the nearest of the known names, or all of them when they are few."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    if not close:  # differing case only is near, whatever the length
        close = [item for item in names if item.lower() == name.lower()]
    if close:
        return f"did you mean '{close[0]}'?"
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")  # noqa: PLR2004
    return f"known names: {shown}"


def read_bytes(path: Path) -> bytes:
    """Return a contract's bytes; C011 if it cannot be read, C001 if it is too large."""
    place = printable(str(path))
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        what = f"cannot read the contract: {error.strerror}"
        raise AssayError("C011", what, where=place, fix="check the path") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise AssayError("C011", "the contract is not a regular file", where=place)
    try:
        with os.fdopen(handle, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        what = f"cannot read the contract: {error.strerror}"
        raise AssayError("C011", what, where=place, fix="check the path") from error
    if len(content) > MAX_BYTES:
        raise AssayError("C001", "the contract is larger than 1 MiB", where=place)
    return content


def parse(content: bytes, file: str) -> Node:
    """Return the root of the only document; C001, C002, C003 or C005 if it is refused."""
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        place, what = f"{file}:{line}:{column}", f"byte {error.start} is not UTF-8"
        raise AssayError("C002", what, where=place, fix="save as UTF-8") from error
    try:
        return _Builder(file).build(yaml.parse(text, Loader=_LOADER))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else file
        problem = getattr(error, "problem", None) or "it holds a character that YAML forbids"
        raise AssayError("C002", f"malformed YAML: {problem}", where=place) from error


class _Builder:
    """Turns parser events into nodes, refusing what a contract must not hold."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.depth = 0

    def build(self, events: Iterator[Any]) -> Node:
        root: Node | None = None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise self._error("C003", "a second document begins here", event)
                root = self._node(next(events), events)
        if root is None or root.value is None:
            raise AssayError(
                "C005", "the contract is empty", where=f"{self.file}:1:1", fix="`assay init`"
            )
        return root

    def _node(self, event: Any, events: Iterator[Any]) -> Node:
        self._refuse(event)
        if isinstance(event, yaml.ScalarEvent):
            value = event.value if event.style in _QUOTES else _resolved(event.value)
            return Node(value, self.file, *_place(event), text=event.value)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self._error("C001", f"more than {MAX_DEPTH} levels", event)
        is_list = isinstance(event, yaml.SequenceStartEvent)
        node = self._list(event, events) if is_list else self._mapping(event, events)
        self.depth -= 1
        return node

    def _list(self, start: Any, events: Iterator[Any]) -> Node:
        found = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            found.append(self._node(event, events))
        return Node(found, self.file, *_place(start))

    def _mapping(self, start: Any, events: Iterator[Any]) -> Node:
        found: dict[str, Node] = {}
        keys: dict[str, tuple[int, int]] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            self._refuse(event)
            if not isinstance(event, yaml.ScalarEvent):
                raise self._error("C005", "a key must be a text", event)
            if event.value in keys:
                first = keys[event.value][0]
                what = f"key '{event.value}' is given twice, first in line {first}"
                raise self._error("C003", what, event)
            keys[event.value] = _place(event)
            found[event.value] = self._node(next(events), events)
        return Node(found, self.file, *_place(start), keys=keys)

    def _refuse(self, event: Any) -> None:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise self._error("C001", "anchors and aliases are not allowed", event)
        if getattr(event, "tag", None) is not None:
            raise self._error("C002", "tags are not allowed", event)

    def _error(self, code: str, what: str, event: Any) -> AssayError:
        line, column = _place(event)
        return AssayError(code, what, where=f"{self.file}:{line}:{column}")


def _place(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _resolved(text: str) -> Scalar:
    if text in _WORDS:
        return _WORDS[text]
    if text.lower() in _OLD_WORDS:
        return _OLD_WORDS[text.lower()]
    if len(text) > MAX_DIGITS:
        return text
    if _INTEGER.match(text):
        return int(text)
    return float(text) if _FLOAT.match(text) else text
