"""Labels that persons corrected, which models learn in place of the rows' own.

They count whatever accuses the row now: a person saw this content. Released and rejected rows keep
their own label, from which the models learn as before.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import numpy as np

from checks.kit.contract_model import Contract
from pipelines.store import decisions
from pipelines.store.decisions import History
from pipelines.store.opinions import CHANGES, Decision

Rows: TypeAlias = "Callable[[], Iterable[tuple[np.ndarray, np.ndarray]]]"


@dataclasses.dataclass(frozen=True, slots=True)
class Corrections:
    """The corrected labels of one source.

    Attributes:
        labels: by row.
        sha256: hex digest of the rows and the entries that record their labels, not of the labels,
            which could be guessed from it; empty if there are none.
    """

    labels: Mapping[int, str] = dataclasses.field(default_factory=dict)
    sha256: str = ""


def of(history: History, contract: Contract, rows: Rows) -> Corrections:
    """Return the labels that were corrected; none if the contract learns not.

    Args:
        history: the decisions in force on the dataset, from `in_force`.
        contract: names the label, and says whether to learn.
        rows: returns ids and ordinals of all rows of the source, for `decisions.locate`; called
            only if there are corrected labels.
    """
    label = contract.label
    if label is None or not contract.policy.learn:
        return Corrections()
    pairs = ((at, _last_on(stack, label)) for at, stack in history.stacks.items())
    known = {at: made for at, made in pairs if made and made.value}
    if not known:
        return Corrections()
    located = decisions.locate(rows(), history.ids())
    made = {row: known[located[row]] for row in sorted(located) if located[row] in known}
    if not made:
        return Corrections()
    text = json.dumps([[row, each.entry] for row, each in made.items()])
    labels = {row: each.value or "" for row, each in made.items()}
    return Corrections(labels, hashlib.sha256(text.encode()).hexdigest())


def _last_on(stack: list[Decision], label: str) -> Decision | None:
    """Return the decision that gave a row its label, None if it has its own."""
    for each in reversed(stack):
        if each.decision not in CHANGES:
            return None
        if each.column == label:
            return each
    return None
