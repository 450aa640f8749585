"""Noise on what a run publishes about protected columns, and the privacy budget it spends.

Counts get discrete Laplace noise from OpenDP, drawn from the operating system's secure random
source. Neighbouring datasets differ in one replaced row, since the exact number of rows is public;
so one row moves two counts, and the sensitivity is 2. A run's epsilon is divided evenly among its
panels. The reference is a separate dataset and gets the same share. Whatever is derived from noisy
counts costs nothing more. The budget spent is what earlier entries of the dataset record, plus this
run's epsilon.
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
_ROUNDED = 9  # decimals, so that sums of budgets compare as in decimal notation


@dataclasses.dataclass(frozen=True, slots=True)
class Published:
    """What may be shown: panels, the entry's facts about the budget, and warnings."""

    panels: tuple[Panel, ...]
    facts: dict[str, Any] | None = None
    warnings: tuple[Notice, ...] = ()


def published(panels: Sequence[Panel], contract: Contract, store: Store) -> Published:
    """Return the panels with noise on those of protected columns, or without these.

    Call it under the ledger's lock, so that concurrent runs do not spend the same budget.
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
    """Return counts with noise of scale 2 / epsilon; negative ones become 0."""
    import opendp.prelude as dp

    dp.enable_features("contrib")
    domain = dp.vector_domain(dp.atom_domain(T="i64"))
    measured = dp.m.make_laplace(domain, dp.l1_distance(T="i64"), scale=scale_of(epsilon))
    return tuple(max(0, number) for number in measured([int(count) for count in counts]))


def scale_of(epsilon: float) -> float:
    """Return the scale of the noise: the mean absolute error of a count."""
    return SENSITIVITY / epsilon


def _noisy(panel: Panel, epsilon: float) -> Panel:
    """Return a panel with noise on its counts, the number of missing cells included."""
    noisy, shares, absent = [], [], []
    for counts, missing in zip((panel.reference, panel.current), panel.absent, strict=True):
        *rest, gone = noisy_counts([*counts, missing], epsilon)
        noisy.append(tuple(rest))
        shares.append(gone / max(sum(rest) + gone, 1))
        absent.append(gone)
    note = (
        "This column is protected, so its counts are noisy: each is off by "
        f"{scale_of(epsilon):,.0f} on average (epsilon {epsilon:g})"
    )
    return dataclasses.replace(
        panel,
        reference=noisy[0],
        current=noisy[1],
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
        f"the privacy budget is used up ({before:g} of {policy.epsilon_total:g} spent, a run needs "
        f"{policy.epsilon:g}), so nothing is published about the protected columns"
    )
    return (Notice("ASSAY-K021", what, "assay.policy.epsilon_total"),)
