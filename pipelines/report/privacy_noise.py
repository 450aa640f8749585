"""Noise on what a run publishes of protected columns, and the budget that it is paid from.

Counts get discrete Laplace noise from OpenDP, drawn from the operating system's secure source. Two
datasets are neighbours if one row is replaced by another, since the number of rows is published as
it is: so one row moves two counts, and the sensitivity is 2. A run's epsilon is shared out evenly
among the panels; the reference is another dataset and pays by the same share beside it. What is
drawn from noisy counts costs nothing more. Spent is what earlier entries of the dataset say, and
this run's epsilon.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from checks.kit.contract_model import Contract
from checks.kit.protocol import Panel
from pipelines.store.store import Store
from provenance.base.errors import Notice

MECHANISM = "discrete Laplace"
SENSITIVITY = 2  # counts of a histogram that change by 1 when a row is replaced
_ROUNDED = 9  # decimals, so that sums of budgets compare as people write them


@dataclasses.dataclass(frozen=True, slots=True)
class Published:
    """What may be shown: panels, the entry's facts on the budget, and what to warn of."""

    panels: tuple[Panel, ...]
    facts: dict[str, Any] | None = None
    warnings: tuple[Notice, ...] = ()


def published(panels: Sequence[Panel], contract: Contract, store: Store) -> Published:
    """Return the panels with noise on those of protected columns, or without them.

    Call it under the ledger's lock, so that two runs at once do not spend the same budget.
    """
    open_ = tuple(panel for panel in panels if not panel.is_protected)
    if not contract.protected:
        return Published(open_)
    secret = [panel for panel in panels if panel.is_protected]
    policy, before = contract.policy, spent(store, contract.name)
    after = round(before + policy.epsilon, _ROUNDED)
    is_over = after > policy.epsilon_total
    if not secret or not policy.epsilon or is_over:
        facts = _facts(contract, 0.0, before, ())
        return Published(open_, facts, _warnings(contract, before) if secret and is_over else ())
    share = policy.epsilon / len(secret)
    shown = tuple(_noisy(panel, share) if panel.is_protected else panel for panel in panels)
    names = tuple(panel.column for panel in secret)
    return Published(shown, _facts(contract, policy.epsilon, after, names))


def spent(store: Store, dataset: str) -> float:
    """Return the epsilon that all runs of a dataset have spent so far."""
    for number in reversed(store.ledger.numbers()):
        facts = store.ledger.read(number).facts
        if facts.get("dataset") == dataset and "privacy" in facts:
            return float(facts["privacy"]["spent_total"])
    return 0.0


def noisy_counts(counts: Sequence[int], epsilon: float) -> tuple[int, ...]:
    """Return counts with noise of scale 2 / epsilon; those below 0 are told as 0."""
    import opendp.prelude as dp

    dp.enable_features("contrib")
    domain = dp.vector_domain(dp.atom_domain(T="i64"))
    measured = dp.m.make_laplace(domain, dp.l1_distance(T="i64"), scale=scale_of(epsilon))
    return tuple(max(0, number) for number in measured([int(count) for count in counts]))


def scale_of(epsilon: float) -> float:
    """Return the scale of the noise: how far off a count is on average."""
    return SENSITIVITY / epsilon


def _noisy(panel: Panel, epsilon: float) -> Panel:
    """Return a panel with noise on its counts; missing cells are one more of them."""
    sides, shares, absent = [], [], []
    for counts, missing in zip((panel.reference, panel.current), panel.absent, strict=True):
        *rest, gone = noisy_counts([*counts, missing], epsilon)
        sides.append(tuple(rest))
        shares.append(gone / max(sum(rest) + gone, 1))
        absent.append(gone)
    note = (
        f"The column is protected: counts are noisy, each off by {scale_of(epsilon):,.0f} on "
        f"average (epsilon {epsilon:g})"
    )
    return dataclasses.replace(
        panel,
        reference=sides[0],
        current=sides[1],
        missing=(shares[0], shares[1]),
        absent=(absent[0], absent[1]),
        statistic=note,
    )


def _facts(
    contract: Contract, epsilon: float, total: float, columns: tuple[str, ...]
) -> dict[str, Any]:
    return {
        "mechanism": MECHANISM,
        "unit": "one row replaced",
        "epsilon": epsilon,
        "delta": 0.0,
        "spent_total": total,
        "budget": contract.policy.epsilon_total,
        "columns": list(columns),
    }


def _warnings(contract: Contract, before: float) -> tuple[Notice, ...]:
    policy = contract.policy
    what = (
        f"the privacy budget is spent ({before:g} of {policy.epsilon_total:g}, and a run takes "
        f"{policy.epsilon:g}): nothing is published of the protected columns"
    )
    return (Notice("ASSAY-K021", what, "assay.policy.epsilon_total"),)
