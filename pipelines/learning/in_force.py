"""The decisions that teach: those that count already, for as long as the contract lets them.

What rules, thresholds and models learn goes by this one list, so none of it outlives its decision.
"""

import dataclasses
import datetime as dt
from collections.abc import Mapping

from checks.kit.contract_model import Contract
from pipelines.clock import now
from pipelines.store.decisions import History
from pipelines.store.opinions import Decision, Needed


def of(history: History, contract: Contract) -> History:
    """Return the history of the decisions in force by now, whatever accuses their rows.

    Where two people decide, neither opinion may have expired.

    Args:
        history: all decisions on the dataset, as read.
        contract: says how many people it takes, and how long decisions are valid.
    """
    needed, oldest = Needed.of(contract.policy), _oldest(contract)

    def lapse(last: Decision, changes: Mapping[str, str]) -> str:
        del changes
        return "that decision has expired" if last.time < oldest else ""

    return history.agreed(needed, lapse)


def valid(agreed: History, contract: Contract) -> History:
    """Return the history without what has expired, of the decisions that count already."""
    oldest = _oldest(contract)
    stacks = {at: stack for at, stack in agreed.stacks.items() if stack[-1].time >= oldest}
    return dataclasses.replace(agreed, stacks=stacks)


def _oldest(contract: Contract) -> str:
    """Return the ISO time before which decisions have expired; empty if none ever does."""
    days = contract.policy.decisions_valid
    if not days:
        return ""
    begins = dt.datetime.fromisoformat(now()) - dt.timedelta(days=days)
    return begins.isoformat(timespec="seconds")
