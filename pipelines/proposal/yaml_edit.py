"""Edits of a contract's text: single values change, and every other character stays.

The places to edit come from the YAML parser, so order, layout, quoting, comments and line ends are
kept. A library that loads and dumps the file changes lines that nobody asked it to: docs/adr/0007.
Each changed rule gets a comment above it, in place of one that said why the rule was unsure.
"""

import dataclasses
import functools
import itertools
from typing import Any

import yaml

from checks.kit.contract_model import Rule
from pipelines.proposal.contract_yaml import comment, scalar

UNSURE = "# unsure:"
_NAMES = {
    "minimum": ("minimum", "exclusiveMinimum"),
    "maximum": ("maximum", "exclusiveMaximum"),
}


@dataclasses.dataclass(slots=True)
class Draft:
    """A contract's text and the edits to make.

    Attributes:
        text: without a byte order mark.
        edits: (start, end, replacement), indices of characters.
        comments: by the number of the line to put them above, from 0.
    """

    text: str
    edits: list[tuple[int, int, str]] = dataclasses.field(default_factory=list)
    comments: dict[int, list[str]] = dataclasses.field(default_factory=dict)

    def done(self) -> str:
        """Return the text with all edits made."""
        lines, edits = self.text.split("\n"), list(self.edits)
        starts = [0, *itertools.accumulate(len(line) + 1 for line in lines)]
        for number, comments in self.comments.items():
            line = lines[number]
            indent = " " * (len(line) - len(line.lstrip(" ")))
            is_unsure = number > 0 and lines[number - 1].strip().startswith(UNSURE)
            new = "".join(f"{indent}# {comment(text)}{self.newline}" for text in comments)
            edits.append((starts[number - is_unsure], starts[number], new))
        made = self.text
        for start, end, new in sorted(edits, reverse=True):
            made = made[:start] + new + made[end:]
        return made

    @property
    def newline(self) -> str:
        """Return the line end that the text uses."""
        return "\r\n" if "\r\n" in self.text else "\n"

    def say(self, node: yaml.Node, text: str) -> None:
        """Put a comment above the line on which a node begins, once."""
        comments = self.comments.setdefault(node.start_mark.line, [])
        if text not in comments:
            comments.append(text)

    def put(self, node: yaml.Node, value: Any) -> bool:
        """Replace a scalar; False if the node is not one."""
        if isinstance(node, yaml.ScalarNode):
            self.edits.append((node.start_mark.index, node.end_mark.index, scalar(value)))
        return isinstance(node, yaml.ScalarNode)

    def add(self, node: yaml.Node, values: list[Any]) -> bool:
        """Append values to a list; False if the node is not one, or its end is not on a line."""
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            return False
        last = node.value[-1]
        lead, end = ", ", last.end_mark.index
        if not node.flow_style:
            if last.style in ("|", ">"):
                return False
            lead = self._line_like(node) + "- "
            end += len(self.text[end:].partition("\n")[0].rstrip("\r"))  # beyond its comment
        self.edits.append((end, end, "".join(lead + scalar(value) for value in values)))
        return True

    def severity(self, rule: yaml.Node, word: str) -> bool:
        """Set the severity of a rule in `quality`; False if the node is not one."""
        known = pairs(rule)
        if "severity" in known:
            return self.put(known["severity"][1], word)
        if known:
            first = next(iter(known.values()))[0]
            is_flow = isinstance(rule, yaml.MappingNode) and rule.flow_style
            gap = ", " if is_flow else self._line_like(first)
            start = first.start_mark.index
            self.edits.append((start, start, f"severity: {word}{gap}"))
        return bool(known)

    def _line_like(self, node: yaml.Node) -> str:
        """Return a line end and the indentation of a node."""
        return self.newline + " " * node.start_mark.column


def pairs(node: yaml.Node | None) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    """Return a mapping's key and value nodes by key; {} if the node is not a mapping."""
    if not isinstance(node, yaml.MappingNode):
        return {}
    return {key.value: (key, value) for key, value in node.value}


def place_of(text: str, rule: Rule) -> tuple[yaml.Node, yaml.Node] | None:
    """Return where a column's rule is: the node to put a comment above, and the rule's node.

    That is a scalar of the property or of its options, or an item of its `quality`; None if the
    rule is written where it cannot be edited.
    """
    [schema] = pairs(_composed(text))["schema"][1].value
    listed = pairs(schema)["properties"][1].value
    known = next(pairs(item) for item in listed if pairs(item)["name"][1].value == rule.column)
    line = int(rule.where.rpartition(":")[2]) - 1
    options = pairs(known["logicalTypeOptions"][1]) if "logicalTypeOptions" in known else {}
    for key, value in [*known.values(), *options.values()]:
        if value.start_mark.line == line and key.value in _NAMES.get(rule.kind, (rule.kind,)):
            return key, value
    items = known["quality"][1].value if "quality" in known else []
    found = [item for item in items if item.start_mark.line == line]
    return (found[0], found[0]) if len(found) == 1 else None


def within(node: yaml.Node, *path: str) -> yaml.Node | None:
    """Return the node below another by keys, None if it does not exist."""
    for key in path:
        known = pairs(node)
        if key not in known:
            return None
        node = known[key][1]
    return node


@functools.lru_cache(maxsize=1)
def _composed(text: str) -> yaml.Node | None:
    return yaml.compose(text, Loader=yaml.SafeLoader)
