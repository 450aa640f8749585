"""`assay.policy.hold_from`: the scores from which errors of graded rules hold their rows.

    hold_from: {labels.contradicted: 0.9, "outliers.joint price": 0.9995}

Only rules of checks whose scores order their rows may be named, so that nothing that searches for
personal data or poison can be made milder here.
"""

from collections.abc import Collection
from typing import Any

from checks.contract.grammar import SHARE, Kind, Part
from checks.contract.node import Node, nearest


def _read(node: Node, name: str) -> Part:
    part = Part(node)
    for key, item in node.anything(name).items():
        part[key], part.nodes[key] = float(SHARE.read(item, f"{name}.{key}")), item
    return part


HOLD_FROM = Kind(_read, {"type": "object", "additionalProperties": SHARE.schema})


def settled(given: Part, columns: Collection[str]) -> dict[str, Any]:
    """Return the thresholds by rule, or rule and column.

    Raises:
        AssayError: ASSAY-C004 for a rule that is unknown or has no score to compare with, C007 for
            a column that the contract lacks.
    """
    from checks.kit import registry

    known = sorted(registry.graded_rules())
    for key in given:
        rule, _, column = key.partition(" ")
        if rule not in known:
            what = f"hold_from cannot name '{rule}': no rule of a graded check has that name"
            raise given.node.fail_at(key, "C004", what, fix=nearest(rule, known))
        if column and column not in columns:
            what = f"hold_from: unknown column '{column}'"
            raise given.node.fail_at(key, "C007", what, fix=nearest(column, columns))
    return dict(given)
