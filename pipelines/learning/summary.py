"""What decisions taught, for the report, `--json` and the reviewer: precision and proposals."""

from collections.abc import Mapping
from typing import Any

from checks.kit.contract_model import Contract
from pipelines.learning import bounds, cases, cuts
from pipelines.learning.cases import Cases
from pipelines.learning.cuts import Proposal
from pipelines.learning.precision import Precision, precisions
from pipelines.store.decisions import History
from pipelines.store.store import Store


def proposals(known: Cases, store: Store, history: History, contract: Contract) -> list[Proposal]:
    """Return the thresholds of graded rules and the bounds that reviewed rows suggest.

    Raises:
        AssayError: ASSAY-L011 if a file of a run that was reviewed is not as recorded.
    """
    return [*cuts.proposals(known), *bounds.proposed(store, history, contract)]


def advised(store: Store, history: History, contract: Contract) -> Mapping[str, Precision]:
    """Return the precision of each reviewed rule, with the thresholds proposed for it.

    `history` has the decisions in force, from `in_force`.
    """
    found = dict(precisions(history))
    for each in proposals(cases.of(store, history), store, history, contract):
        rule, _, column = each.name.partition(" ")
        if rule in found:
            before = found[rule]
            advice = (*before.advice, (column, each.says()))
            found[rule] = Precision(before.wrong, before.reviewed, advice)
    return found


def facts(known: Cases, store: Store, history: History, contract: Contract) -> list[dict[str, Any]]:
    """Return one object for each reviewed rule, by name, as an entry records it.

    `history` has the decisions in force, from `in_force`.
    """
    made = proposals(known, store, history, contract)
    return [
        {"rule": rule, **precision.as_dict(),
         "proposals": [each.as_dict() for each in made if each.name.partition(" ")[0] == rule]}
        for rule, precision in sorted(precisions(history).items())
    ]  # fmt: skip
