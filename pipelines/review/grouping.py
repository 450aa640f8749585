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
from pipelines.learning.precision import Precision
from pipelines.review import lessons
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
        lesson: what reviews taught about the first rule that accuses them.
    """

    id: str
    fate: str
    rows: np.ndarray
    reasons: list[dict[str, Any]]
    likely: float
    worth: float
    lesson: Precision = dataclasses.field(default_factory=Precision)

    def without(self, settled: np.ndarray) -> "Group":
        """Return the group without rows that are decided."""
        rows = np.setdiff1d(self.rows, settled)
        return dataclasses.replace(self, rows=rows, worth=self.worth * len(rows) / len(self.rows))


def groups(run: ReviewedRun, name: str = "") -> list[Group]:
    """Return the groups of the rows that wait for a person's decision, the worst first.

    A group keeps its id while its rows are decided one after the other.
    """
    every = of_findings(run.accusing, lessons.of(run))
    settled = run.settled(name)
    left = [group.without(settled) for group in every]
    return sorted((group for group in left if len(group.rows)), key=_order)


def of_findings(found: Findings, precision: Mapping[str, Precision] | None = None) -> list[Group]:
    """Return the groups of the rows that findings accuse, the worst first.

    Args:
        found: errors and warnings on rows.
        precision: what reviews taught about rules, by rule.
    """
    if not len(found):
        return []
    table = verdict.causes_first(found)
    rows, (texts, sign_of) = table["row"].to_numpy(), _signs(table)
    starts = np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]])
    place_of = np.cumsum(np.r_[True, rows[1:] != rows[:-1]]) - 1
    severities = pc.index_in(table["severity"], pa.array([*LIKELY])).to_numpy()
    # causes first: the first severity is the row's
    own = severities == severities[starts][place_of]
    kinds, first, kind_of = _kinds(place_of[own], sign_of[own], severities[starts])
    order = np.argsort(kind_of, kind="stable")
    members = np.split(order, np.searchsorted(kind_of[order], np.arange(1, len(kinds))))
    ends = np.r_[starts[1:], len(rows)]
    made = []
    for (severity, signs), place, places in zip(kinds, first.tolist(), members, strict=True):
        name = "\n".join([[*LIKELY][severity], *(texts[sign] for sign in signs)])
        start, end = int(starts[place]), int(ends[place])
        reasons = table.slice(start, end - start).to_pylist()
        made.append(_group(name, rows[starts[places]], reasons, precision or {}))
    return sorted(made, key=_order)


def _order(group: Group) -> tuple[bool, float, str]:
    return group.fate == "clean", -group.worth, group.id


def _kinds(
    place_of: np.ndarray, sign_of: np.ndarray, severities: np.ndarray
) -> tuple[list[tuple[int, list[int]]], np.ndarray, np.ndarray]:
    """Return what is the same of all rows of a kind, the first row of each, and the kind of each.

    Args:
        place_of: int64, shape (n,), ascending: the row that a sign is of, counted from 0.
        sign_of: int64, shape (n,).
        severities: of each row.
    """
    width = int(sign_of.max(initial=0)) + 1
    place_of, sign_of = np.divmod(np.unique(place_of * width + sign_of), width)
    begins = np.searchsorted(place_of, np.arange(len(severities) + 1))
    counts = np.diff(begins)
    kind_of = severities.astype(np.int64)
    for nth in range(int(counts.max(initial=0))):
        # 0: the row has no nth sign
        sign = np.zeros(len(counts), np.int64)
        has = counts > nth
        sign[has] = 1 + sign_of[begins[:-1][has] + nth]
        kind_of = np.unique(kind_of * (width + 1) + sign, return_inverse=True)[1]
    _, first, kind_of = np.unique(kind_of, return_index=True, return_inverse=True)
    kinds = [
        (int(severities[row]), sign_of[begins[row] : begins[row + 1]].tolist()) for row in first
    ]
    return kinds, first, kind_of


def waiting_findings(run: ReviewedRun, name: str = "") -> Findings:
    """Return the errors and warnings on rows that wait for a person's decision."""
    settled = pc.is_in(run.accusing["row"], pa.array(run.settled(name), pa.int64()))
    return run.accusing.filter(pc.invert(settled))


def _group(
    signs: str, rows: np.ndarray, reasons: list[dict[str, Any]], precision: Mapping[str, Precision]
) -> Group:
    severity = signs.partition("\n")[0]
    own = [reason for reason in reasons if reason["severity"] == severity]
    known = [precision.get(reason["rule"], Precision()) for reason in own]
    likely = max(each.likely(LIKELY[severity]) for each in known)
    cost = max(COSTS.get(reason["check"], 1.0) for reason in own)
    name = hashlib.sha256(signs.encode()).hexdigest()[:8]
    fate = "quarantine" if severity == "error" else "clean"
    return Group(
        name,
        fate,
        rows,
        reasons,
        likely,
        likely * cost * len(rows),
        known[0].about(own[0]["column"]),
    )


def _signs(table: Findings) -> tuple[list[str], np.ndarray]:
    """Return what findings say that others of their kind may say too.

    Returns:
        The texts, sorted, and the text of each finding: int64, shape (findings,).
    """
    rules = pc.binary_join_element_wise(
        table["check"], table["rule"], pc.coalesce(table["column"], ""), "\t"
    ).dictionary_encode().combine_chunks()  # fmt: skip
    says = table["evidence"].dictionary_encode().combine_chunks()
    names, texts = rules.dictionary.to_pylist(), says.dictionary.to_pylist()
    rule_of, text_of = rules.indices.to_numpy(), says.indices.to_numpy()
    pairs, pair_of, sizes = np.unique(
        rule_of.astype(np.int64) * len(texts) + text_of, return_inverse=True, return_counts=True
    )
    made = np.empty(len(pairs), object)
    for number, name in enumerate(names):
        low, high = np.searchsorted(pairs, [number * len(texts), (number + 1) * len(texts)])
        chosen = [texts[pair % len(texts)] for pair in pairs[low:high].tolist()]
        is_shared = int(sizes[low:high].sum()) >= SHARED * len(chosen)
        kinds = chosen if is_shared else [_FIGURES.sub("#", text) for text in chosen]
        is_many = len(set(kinds)) > MOST_KINDS
        made[low:high] = [name if is_many else f"{name}\t{kind}" for kind in kinds]
    ordered = sorted(set(made.tolist()))
    place = {text: number for number, text in enumerate(ordered)}
    return ordered, np.array([place[text] for text in made.tolist()], np.int64)[pair_of]
