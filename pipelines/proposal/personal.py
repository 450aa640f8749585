"""Which columns must not have their values written into a contract, which many people read."""

import pyarrow as pa

from checks.pii.headings import is_of_persons
from checks.pii.scan import scan
from checks.pii.settings import Settings
from pipelines.proposal.contract_yaml import Proposal


def hide(proposal: Proposal) -> bool:
    """Return whether the values may not be listed: some, or the column by its name, are personal.

    What is found in them is said in a comment; of names `init_privacy` says what they may hold.
    """
    if is_of_persons(proposal.seen.name) and "label" not in proposal.roles:
        return True
    texts = [str(value) for value in proposal.seen.counts or ()]
    found = scan(pa.array(sorted(set(texts)), pa.string()), proposal.seen.name, Settings())
    if found:
        proposal.comments.append("check: its values are not listed: some are personal data")
    return bool(found)


def held(proposal: Proposal, values: pa.Array) -> str:
    """Return the kinds of personal data for which rows will be held, as a list; "" for none.

    Args:
        proposal: of the column.
        values: some of its texts, shape (n,).
    """
    texts = values.drop_null().unique()
    found = scan(texts, proposal.seen.name, Settings())
    kinds = {hit.entity for one in found.values() for hit, word in one.hits if word == "error"}
    return ", ".join(sorted(kinds))
