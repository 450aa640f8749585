"""A small, safe YAML reader: plain data with a place for every value, and nothing else.

It works on parser events, so no document ever constructs an object. It refuses aliases, anchors
and merge keys, tags, a second document, keys given twice, more than 32 levels, 200,000 values or
1 MiB, bytes that are not UTF-8, and characters that an editor does not show as the parser reads
them. Scalars follow the core schema of YAML 1.2: `1e3` is a number, `2024-01-01` is text; yes, no,
on and off are marked as the booleans of YAML 1.1, see `node.Node`.
"""

import dataclasses
import hashlib
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from checks.contract.node import OLD_WORDS, Node
from provenance.base.errors import AssayError, printable
from provenance.base.limits import Limits
from provenance.files.safe_open import Opened

Scalar: TypeAlias = str | int | float | bool | None

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_VALUES = 200_000
MAX_DIGITS = 400  # of a number; longer ones are text
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?\Z")
_INFINITE = re.compile(r"([-+]?)\.(?:inf|Inf|INF)\Z")
_QUOTES = ("'", '"', "|", ">")  # anything else is plain
_WORDS: dict[str, Scalar] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS |= {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_WORDS |= {".nan": math.nan, ".NaN": math.nan, ".NAN": math.nan}
# What YAML forbids; also line ends that editors do not show, a second byte order mark, and marks
# that reorder a line, since people review contracts. Double quotes allow escapes such as \u202e.
_FORBIDDEN = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202f-\u2065\u206a-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
    "|\r(?!\n)"
)


@dataclasses.dataclass(frozen=True, slots=True)
class Document:
    """A contract's bytes, read once.

    Attributes:
        path: the file, resolved before it was opened; paths in the contract are relative to its
            folder.
        name: its path as the user wrote it, for messages.
    """

    content: bytes
    path: Path
    name: str

    @property
    def sha256(self) -> str:
        """Return the digest of the bytes."""
        return hashlib.sha256(self.content).hexdigest()


def read(path: Path) -> Document:
    """Read a contract's bytes, by the rules of `provenance.files.safe_open`.

    Raises:
        AssayError: ASSAY-C011 if it cannot be read, is not a regular file, or is a symbolic link
            that leaves its folder; C001 if it is too large; I013 if it changed while it was read.
    """
    name = printable(str(path))
    try:
        real, home = path.resolve(), path.parent.resolve()
    except (OSError, RuntimeError, ValueError):
        raise _unreadable("the path cannot be resolved", name) from None
    if not real.is_relative_to(home):
        fix = "copy the file into the folder, or give its real path"
        raise _unreadable("the symbolic link leaves its folder", name, fix)
    try:
        with Opened(str(real), Limits(max_bytes=MAX_BYTES), name) as file:
            return Document(file.content(), real, name)
    except AssayError as error:
        if error.code == "ASSAY-I006":
            fix = "shorten the lists of values, or write one contract for each dataset"
            what = "the contract is larger than 1 MiB"
            raise AssayError("C001", what, where=f"{name}:1:1", fix=fix) from None
        if error.code == "ASSAY-I013":
            raise
        raise _unreadable(error.what, name) from None


def _unreadable(why: str, name: str, fix: str = "check the path") -> AssayError:
    return AssayError("C011", f"cannot read the contract: {why}", where=name, fix=fix)


def parse(content: bytes, file: str) -> Node:
    """Return the root of the only document; C001, C002, C003 or C005 if it is refused."""
    text = _decoded(content, file)
    try:
        return _Builder(file).build(yaml.parse(text, Loader=_LOADER))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what, place = f"malformed YAML: {_problem(error)}", f"{file}:{line}:{column}"
        raise AssayError("C002", what, where=place) from None


def _problem(error: yaml.YAMLError) -> str:
    """Return the kind of problem. The C parser does not quote the file; the Python parser does.

    The user may have named any file as the contract, and its content must not be shown.
    """
    problem = getattr(error, "problem", None)
    return str(problem) if problem and _LOADER is not yaml.SafeLoader else "it cannot be parsed"


def _decoded(content: bytes, file: str) -> str:
    """Return the text without its byte order mark; C002 if people could not read it."""
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        place, what = f"{file}:{line}:{column}", f"byte {error.start} is not UTF-8"
        raise AssayError("C002", what, where=place, fix="save the file as UTF-8") from error
    if odd := _FORBIDDEN.search(text):
        line = text.count("\n", 0, odd.start()) + 1
        column = odd.start() - text.rfind("\n", 0, odd.start())
        what = f"a contract must not contain the character U+{ord(odd[0]):04X}"
        fix = "remove it; in double quotes, most can be written as an escape such as \\u202e"
        raise AssayError("C002", what, where=f"{file}:{line}:{column}", fix=fix)
    return text


class _Builder:
    """Turns parser events into nodes and refuses what a contract must not contain."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.depth = 0
        self.values = 0

    def build(self, events: Iterator[Any]) -> Node:
        root: Node | None = None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise self._error("C003", "the file contains a second YAML document", event)
                root = self._node(next(events), events)
        if root is None or root.value is None:
            raise AssayError(
                "C005", "the contract is empty", where=f"{self.file}:1:1", fix="run `assay init`"
            )
        return root

    def _node(self, event: Any, events: Iterator[Any]) -> Node:
        self._refuse(event)
        if isinstance(event, yaml.ScalarEvent):
            is_plain = event.style not in _QUOTES
            value = _resolved(event.value) if is_plain else event.value
            return Node(value, self.file, *_place(event), text=event.value, is_plain=is_plain)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self._error("C001", f"more than {MAX_DEPTH} levels of nesting", event)
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
                raise self._error("C005", "keys must be plain texts, not lists or mappings", event)
            if event.value == "<<" and event.style not in _QUOTES:
                raise self._error("C001", "merge keys (<<) are not allowed", event)
            if event.value in keys:
                first = keys[event.value][0]
                what = f"duplicate key, first given in line {first}"
                raise self._error("C003", what, event)
            keys[event.value] = _place(event)
            found[event.value] = self._node(next(events), events)
        return Node(found, self.file, *_place(start), keys=keys)

    def _refuse(self, event: Any) -> None:
        self.values += 1
        if self.values > MAX_VALUES:
            raise self._error("C001", f"the contract holds more than {MAX_VALUES:,} values", event)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise self._error("C001", "anchors and aliases are not allowed", event)
        if getattr(event, "tag", None) is not None:
            raise self._error("C002", "tags are not allowed", event)
        if "\0" in getattr(event, "value", ""):
            raise self._error("C002", "a text value contains the character U+0000", event)

    def _error(self, code: str, what: str, event: Any) -> AssayError:
        line, column = _place(event)
        return AssayError(code, what, where=f"{self.file}:{line}:{column}")


def _place(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _resolved(text: str) -> Scalar:
    if text in _WORDS:
        return _WORDS[text]
    if text.lower() in OLD_WORDS:
        return OLD_WORDS[text.lower()]
    if len(text) > MAX_DIGITS:
        return text
    if _INTEGER.match(text):
        return int(text)
    if infinite := _INFINITE.match(text):
        return -math.inf if infinite[1] == "-" else math.inf
    return float(text) if _FLOAT.match(text) else text
