"""Edits of a contract's text: single values change, and all else stays as a person wrote it.

Places come from the YAML itself, so layout, order and comments are kept. Each changed rule gets a
comment line above it; one that told why the rule was unsure makes way for it.
"""

import dataclasses
import functools
import itertools
from typing import Any, cast

import yaml

from checks.kit.contract_model import Rule
from pipelines.proposal.contract_yaml import comment, scalar

UNSURE = "# unsure:"
Pairs = dict[str, tuple[yaml.Node, yaml.Node]]


@dataclasses.dataclass(slots=True)
class Draft:
    """A contract's text and the edits that are asked of it.

    Attributes:
        text: without a byte order mark.
        edits: (start, end, what stands there instead), indices of characters.
        comments: by number of the line that they stand above, from 0.
    """

    text: str
    edits: list[tuple[int, int, str]] = dataclasses.field(default_factory=list)
    comments: dict[int, list[str]] = dataclasses.field(default_factory=dict)

    def done(self) -> str:
        """Return the text with all edits."""
        made = self.text
        lines, edits = self.text.split("\n"), list(self.edits)
        starts = [0, *itertools.accumulate(len(line) + 1 for line in lines)]
        for line, told in self.comments.items():
            start = starts[line]
            indent = " " * (len(lines[line]) - len(lines[line].lstrip(" ")))
            is_told = line > 0 and lines[line - 1].strip().startswith(UNSURE)
            begin = starts[line - 1] if is_told else start
            new = "".join(f"{indent}# {comment(text)}\n" for text in dict.fromkeys(told))
            edits.append((begin, start, new))
        for start, end, new in sorted(edits, reverse=True):
            made = made[:start] + new + made[end:]
        return made

    def say(self, node: yaml.Node, why: str) -> None:
        """Put a comment above the line on which a node begins."""
        self.comments.setdefault(node.start_mark.line, []).append(why)

    def put(self, node: yaml.Node, value: Any) -> None:
        """Let another value stand where a scalar stands."""
        self.edits.append((node.start_mark.index, node.end_mark.index, scalar(value)))

    def add(self, node: yaml.Node, values: list[Any]) -> None:
        """Append values to a list, which has one at least."""
        items = cast("yaml.SequenceNode", node).value
        end = items[-1].end_mark.index
        if cast("yaml.SequenceNode", node).flow_style:
            self.edits.append((end, end, "".join(f", {scalar(value)}" for value in values)))
        else:
            lead = "\n" + " " * node.start_mark.column + "- "
            self.edits.append((end, end, "".join(lead + scalar(value) for value in values)))

    def severity(self, item: yaml.Node, word: str) -> None:
        """Give a quality rule a severity."""
        known = pairs(item)
        if "severity" in known:
            self.put(known["severity"][1], word)
            return
        first = next(iter(known.values()))[0]
        lead = f"severity: {word}"
        gap = ", " if cast("yaml.MappingNode", item).flow_style else _gap(first)
        self.edits.append((first.start_mark.index, first.start_mark.index, lead + gap))


def pairs(node: yaml.Node | None) -> Pairs:
    """Return a mapping's keys and values by key; none of another node."""
    if not isinstance(node, yaml.MappingNode):
        return {}
    return {key.value: (key, value) for key, value in node.value}


def place_of(text: str, rule: Rule) -> tuple[yaml.Node, yaml.Node] | None:
    """Return the nodes where a column's rule stands: what a comment goes above, and the rule.

    The rule is a scalar of the property or of its options, or an item of its `quality`; None if it
    is written where no edit reaches.
    """
    [schema] = pairs(_composed(text))["schema"][1].value
    listed = pairs(schema)["properties"][1].value
    found = next(item for item in listed if pairs(item)["name"][1].value == rule.column)
    line = int(rule.where.rpartition(":")[2]) - 1
    known = pairs(found)
    options = known.get("logicalTypeOptions")
    for key, value in [*known.values(), *(pairs(options[1]).values() if options else ())]:
        if value.start_mark.line == line and key.value in _NAMES.get(rule.kind, (rule.kind,)):
            return key, value
    items = known["quality"][1].value if "quality" in known else []
    there = [item for item in items if item.start_mark.line == line]
    return (there[0], there[0]) if len(there) == 1 else None


@functools.lru_cache(maxsize=1)
def _composed(text: str) -> yaml.Node | None:
    return yaml.compose(text, Loader=yaml.SafeLoader)


_NAMES = {
    "minimum": ("minimum", "exclusiveMinimum"),
    "maximum": ("maximum", "exclusiveMaximum"),
}


def within(item: yaml.Node, *path: str) -> yaml.Node | None:
    """Return what lies below a node under some keys, None if it is not there."""
    for key in path:
        known = pairs(item)
        if key not in known:
            return None
        item = known[key][1]
    return item


def _gap(key: yaml.Node) -> str:
    return "\n" + " " * key.start_mark.column
