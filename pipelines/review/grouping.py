"""The queue of a run: the rows that wait for a decision, in groups that one decision may settle.

Rows belong to one group if the same rules accuse them, of the same columns and with the same
evidence; evidence that names figures of the row itself counts without the figures. The worst group
comes first: how likely its rows are wrong, times what a wrong row of its kind costs, summed over
its rows. The figures of worth are weights for the order, and nothing else.
Cost: one sort of the findings; O(findings) otherwise.
"""

import dataclasses
import hashlib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import verdict
from checks.kit.findings import Findings
from pipelines.review.reviewed_run import ReviewedRun

# what a wrong row costs that stays where it is, relative to a faulty value
COSTS = {"poison": 10.0, "pii": 8.0, "duplicates": 3.0, "labels": 4.0, "contamination": 4.0}
LIKELY = {"error": 0.9, "warning": 0.3}  # that a row is wrong, before anyone decided about its rule
SHARED = 5  # rows for each text from which evidence is a group's own, not a row's
MOST_KINDS = 12  # of evidence that one rule of a column is split by
_FIGURES = re.compile(r"U\+[0-9A-F]{4,6}|[0-9][0-9.,]*")


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    """Rows that the same accuses.

    Attributes:
        id: eight hex digits, made of what accuses the rows.
        fate: of its rows: `quarantine`, or `clean` if there are only warnings.
        rows: int64 ordinals, ascending.
        reasons: of its first row, causes first; see `checks.kit.findings`.
        likely: that a row of it is wrong, in [0, 1].
        worth: of deciding about it.
    """

    id: str
    fate: str
    rows: np.ndarray
    reasons: list[dict[str, Any]]
    likely: float
    worth: float


def groups(run: ReviewedRun, precision: Mapping[str, float] | None = None) -> list[Group]:
    """Return the groups of the rows that wait for a decision, the worst first.

    Args:
        run: under review.
        precision: by rule, the share of its rows that turned out to be wrong, where it is known.
    """
    waiting = waiting_findings(run)
    if not len(waiting):
        return []
    table = verdict.causes_first(waiting)
    rows, texts = table["row"].to_numpy(), _signs(table)
    starts = np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]])
    ends = np.r_[starts[1:], len(rows)]
    severities = table["severity"].to_pylist()
    members: dict[str, list[int]] = {}
    for place, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        # causes first: the first severity is the row's
        own = [n for n in range(start, end) if severities[n] == severities[start]]
        signs = "\n".join([severities[start], *sorted({texts[n] for n in own})])
        members.setdefault(signs, []).append(place)
    made = []
    for signs, places in members.items():
        start, end = int(starts[places[0]]), int(ends[places[0]])
        reasons = table.slice(start, end - start).to_pylist()
        made.append(_group(signs, rows[starts[places]], reasons, precision or {}))
    return sorted(made, key=lambda group: (group.fate == "clean", -group.worth, group.id))


def waiting_findings(run: ReviewedRun) -> Findings:
    """Return the errors and warnings on rows about which no decision is in force."""
    is_open = pc.is_in(run.rowed["severity"], pa.array([*LIKELY]))
    settled = pc.is_in(run.rowed["row"], pa.array([*run.standing], pa.int64()))
    return run.rowed.filter(pc.and_(is_open, pc.invert(settled)))


def _group(
    signs: str, rows: np.ndarray, reasons: list[dict[str, Any]], precision: Mapping[str, float]
) -> Group:
    severity = signs.partition("\n")[0]
    own = [reason for reason in reasons if reason["severity"] == severity]
    likely = max(precision.get(reason["rule"], LIKELY[severity]) for reason in own)
    cost = max(COSTS.get(reason["check"], 1.0) for reason in own)
    name = hashlib.sha256(signs.encode()).hexdigest()[:8]
    fate = "quarantine" if severity == "error" else "clean"
    return Group(name, fate, rows, reasons, likely, likely * cost * len(rows))


def _signs(table: Findings) -> list[str]:
    """Return what each finding says that others of its kind may say too."""
    rules = pc.binary_join_element_wise(
        table["check"], table["rule"], pc.coalesce(table["column"], ""), "\t"
    ).dictionary_encode().combine_chunks()  # fmt: skip
    says = table["evidence"].dictionary_encode().combine_chunks()
    names, texts = rules.dictionary.to_pylist(), says.dictionary.to_pylist()
    plain = [_FIGURES.sub("#", text) for text in texts]
    rule_of, text_of = rules.indices.to_numpy(), says.indices.to_numpy()
    made = [""] * len(table)
    for number, name in enumerate(names):
        places = np.flatnonzero(rule_of == number)
        chosen = text_of[places].tolist()
        is_shared = len(places) >= SHARED * len(set(chosen))
        kinds = [texts[n] if is_shared else plain[n] for n in chosen]
        is_many = len(set(kinds)) > MOST_KINDS
        for place, kind in zip(places.tolist(), kinds, strict=True):
            made[place] = name if is_many else f"{name}\t{kind}"
    return made
