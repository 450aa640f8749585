"""Which columns must not have their values written into a contract, which many people read."""

import pyarrow as pa

from checks.kit import registry
from pipelines.proposal.contract_yaml import Proposal


def hide(proposal: Proposal) -> bool:
    """Return whether the values may not be listed: some, or the column by its name, are personal.

    What is found in them is said in a comment; of names `privacy` says what they may hold.
    """
    name = proposal.seen.name
    if "label" not in proposal.roles and registry.is_private(name):
        return True
    texts = sorted({str(value) for value in proposal.seen.counts or ()})
    if not registry.is_private(name, pa.array(texts, pa.string())):
        return False
    proposal.comments.append("check: its values are not listed: some are personal data")
    return True
