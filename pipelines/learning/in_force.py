"""The decisions that teach: those that count already, for as long as the contract lets them.

What rules, thresholds and models learn goes by this one list, so none of it outlives its decision.
"""

from checks.kit.contract_model import Contract
from pipelines.store import decisions
from pipelines.store.decisions import History
from pipelines.store.opinions import Needed


def of(history: History, contract: Contract) -> History:
    """Return the history of the decisions in force by now, whatever accuses their rows.

    Where two people decide, neither opinion may have expired.

    Args:
        history: all decisions on the dataset, as read.
        contract: says how many people it takes, and how long decisions are valid.
    """
    return history.agreed(Needed.of(contract.policy), decisions.expiry(contract))
