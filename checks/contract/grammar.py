"""How a contract is described: once, as kinds of values.

A kind says both how a value is read from its node, or refused with a code and a place, and what
the JSON Schema says of it. The other modules of this room describe the contract with these kinds.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from checks.contract.node import MOST_INTEGER, Node, nearest

MOST_PATH = 4096  # characters
Json = dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value.

    Attributes:
        read: from a node, and the name that messages call it, to the value; AssayError otherwise.
        schema: the same as a JSON Schema, as far as one can say it.
    """

    read: Callable[[Node, str], Any]
    schema: Json


class Part(dict[str, Any]):
    """A mapping that was read: values by key.

    Attributes:
        node: the whole mapping; nodes: of each key that was read.
        unused: the keys that have no effect, with their nodes.
    """

    def __init__(self, node: Node) -> None:
        """Begin with no keys."""
        super().__init__()
        self.node = node
        self.nodes: dict[str, Node] = {}
        self.unused: list[tuple[str, Node]] = []


def of_type(name: str, read: Callable[[Node, str], Any], **schema: Any) -> Kind:
    """Return a kind whose JSON type has a name."""
    return Kind(read, {"type": name, **schema})


def text(read: Callable[[Node, str], Any] = Node.string, **schema: Any) -> Kind:
    """Return a kind of text that is not empty."""
    return Kind(read, {"type": "string", "minLength": 1, **schema})


def number(*, whole: bool = False, **ends: float) -> Kind:
    """Return a kind of finite number; the ends are named as in JSON Schema."""

    def read(node: Node, name: str) -> int | float:
        value = node.integer(name) if whole else node.number(name)
        for key, end in ends.items():
            word, holds = _ENDS[key]
            if not holds(value, end):
                fix = "write a share, such as 0.95" if ends.get("maximum") == 1 else ""
                raise node.fail("C005", f"{name} must be {word} {end}", fix=fix)
        return value

    limits = {"maximum": MOST_INTEGER, **ends} if whole else ends
    return of_type("integer" if whole else "number", read, **limits)


_ENDS: dict[str, tuple[str, Callable[[float, float], bool]]] = {
    "minimum": ("at least", lambda value, end: value >= end),
    "maximum": ("at most", lambda value, end: value <= end),
    "exclusiveMinimum": ("above", lambda value, end: value > end),
    "exclusiveMaximum": ("below", lambda value, end: value < end),
}


def words(known: Sequence[str]) -> Kind:
    """Return a kind that is one of some words."""
    return Kind(lambda node, name: node.choice(name, known), {"enum": list(known)})


def items(kind: Kind, *, filled: bool = False, length: int | None = None) -> Kind:
    """Return a list of a kind: of any length, with an item at least, or of one length."""

    def read(node: Node, name: str) -> list[Any]:
        listed = node.items(name)
        if filled and not listed:
            raise node.fail("C005", f"{name} is empty", fix="list at least one value")
        if length is not None and len(listed) != length:
            raise node.fail("C005", f"{name} needs {length} values and has {len(listed)}")
        return [kind.read(item, f"{name}[{number}]") for number, item in enumerate(listed)]

    ends = {"minItems": 1} if filled else {}
    ends |= {"minItems": length, "maxItems": length} if length is not None else {}
    return of_type("array", read, items=kind.schema, **ends)


TEXT = text()
FLAG = of_type("boolean", Node.boolean)
NUMBER = number()
SHARE = number(minimum=0, maximum=1)
WHOLE = number(whole=True, minimum=1)
LENGTH = number(whole=True, minimum=0)
INTEGER = number(whole=True)
PATH = text(maxLength=MOST_PATH)  # longer ones are refused as paths, ASSAY-C010
SCALAR = Kind(Node.scalar, {"type": ["string", "number", "boolean", "null"]})
OF_COLUMN = Kind(lambda node, _: node, SCALAR.schema)  # read where the column's type is known
ANYTHING = Kind(lambda node, _: node, {})


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """Keys whose kinds depend on the value of another key.

    Attributes:
        key: the other key.
        default: its value where it is not given.
        kinds: by that value, the kinds of the keys.
    """

    key: str
    default: str | None
    kinds: Mapping[str, Mapping[str, Kind]]

    def schemas(self) -> list[Json]:
        """Return each case as a JSON Schema."""
        found = []
        for value, kinds in self.kinds.items():
            is_so: Json = {"properties": {self.key: {"const": value}}}
            if value != self.default:
                is_so["required"] = [self.key]
            then = {"properties": {key: kind.schema for key, kind in kinds.items()}}
            found.append({"if": is_so, "then": then})
        return found


@dataclasses.dataclass(frozen=True, slots=True)
class Mapped:
    """What a mapping may hold.

    Attributes:
        kinds: of the keys that are read.
        needed: keys that must be given.
        described: keys that describe the data to people, where anything may be written.
        unused: keys that somebody may believe to act; each gets one warning.
        stand_ins: keys that are read in place of another that is not given, in order.
        case: keys that depend on another.
        judge: refuses what the keys together may not be.
        schema: the same as a JSON Schema.
    """

    kinds: Mapping[str, Kind]
    needed: Sequence[str] = ()
    described: str = ""
    unused: str = ""
    stand_ins: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    case: Case | None = None
    judge: Callable[[Part], None] | None = None
    schema: Json = dataclasses.field(default_factory=dict)

    @property
    def known(self) -> list[str]:
        """Return all the keys."""
        inner = [key for kinds in (self.case.kinds if self.case else {}).values() for key in kinds]
        others = [key for keys in self.stand_ins.values() for key in keys]
        words = (self.described + " " + self.unused).split()
        return sorted({*self.kinds, *inner, *others, *words})

    def read(self, node: Node, name: str) -> Part:
        """Return a node as this mapping."""
        part, given = Part(node), dict(node.mapping(name, self.known))
        for key, others in self.stand_ins.items():
            spelt = [given.pop(other) for other in others if other in given]
            if spelt and key not in given:
                given[key] = spelt[0]
        for key in self.needed:
            if key not in given:
                raise node.fail("C005", f"{name} has no `{key}`", fix=f"add `{key}`")
        kinds = {**self.kinds, **self._of_case(given)}
        for key, item in given.items():
            if key in kinds:
                part[key], part.nodes[key] = kinds[key].read(item, key), item
        part.unused = [(key, given[key]) for key in sorted(self.unused.split()) if key in given]
        if self.judge:
            self.judge(part)
        return part

    def _of_case(self, given: Mapping[str, Node]) -> Mapping[str, Kind]:
        """Return the kinds of the keys that depend on another key."""
        if self.case is None:
            return {}
        key = self.case.key
        value = given[key].value if key in given else self.case.default
        return self.case.kinds.get(value, {}) if isinstance(value, str) else {}

    def kind(self) -> Kind:
        """Return this as a kind."""
        shape: Json = {key: {} for key in self.known}
        shape |= {key: kind.schema for key, kind in self.kinds.items()}
        rules = self.case.schemas() if self.case else []
        required = []
        for key in self.needed:
            ways = [{"required": [spelt]} for spelt in (key, *self.stand_ins.get(key, ()))]
            rules += [{"anyOf": ways}] if len(ways) > 1 else []
            required += [key] if len(ways) == 1 else []
        for key, others in self.stand_ins.items():
            rules += [
                _instead((key, *others)[:n], other, self.kinds[key])
                for n, other in enumerate(others, 1)
            ]
        whole = {"type": "object", "additionalProperties": False, "properties": shape}
        whole |= {"required": required} if required else {}
        whole |= {"allOf": rules} if rules else {}
        return Kind(self.read, {**whole, **self.schema})


def _instead(before: Sequence[str], key: str, kind: Kind) -> Json:
    """Return that a key is of a kind where none of the keys before it is given."""
    given = [{"required": [other]} for other in before]
    return {"if": {"not": {"anyOf": given}}, "then": {"properties": {key: kind.schema}}}


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """Assay's own entries in a list of {property, value}; those of other tools may hold anything.

    Attributes:
        kinds: of the values, by name.
        elsewhere: names that belong to another part of the contract.
    """

    kinds: Mapping[str, Kind]
    elsewhere: Sequence[str] = ()

    def read(self, node: Node, name: str) -> Part:
        """Return the values by name; C003 for a name given twice, C004 for an unknown one."""
        part = Part(node)
        for item in node.items(name):
            entry = item.anything("a custom property")
            if "property" not in entry:
                raise item.fail("C005", "a custom property has no `property`")
            place = entry["property"]
            key = place.string("property")
            if not key.lower().replace("_", ".").startswith("assay"):
                part.unused.append((key, place))
                continue
            if key not in self.kinds:
                is_elsewhere = key in self.elsewhere
                fix = "move it to where it belongs" if is_elsewhere else nearest(key, self.kinds)
                raise place.fail("C004", f"unknown custom property '{key}'", fix=fix)
            if "value" not in entry:
                raise item.fail("C005", f"{key} has no value")
            if key in part:
                raise place.fail("C003", f"{key} is given twice")
            part[key], part.nodes[key] = self.kinds[key].read(entry["value"], key), entry["value"]
        return part

    def kind(self) -> Kind:
        """Return this as a kind."""
        cases = [
            {"if": {"properties": {"property": {"const": name}}},
             "then": {"properties": {"value": kind.schema}, "required": ["value"]}}
            for name, kind in self.kinds.items()
        ]  # fmt: skip
        other = {"not": {"pattern": "^[Aa][Ss][Ss][Aa][Yy]"}}
        known = {"type": "string", "minLength": 1, "anyOf": [{"enum": list(self.kinds)}, other]}
        item = {"type": "object", "properties": {"property": known}, "required": ["property"]}
        return of_type("array", self.read, items={**item, **({"allOf": cases} if cases else {})})
