"""Which columns must not have their values written into a contract, which many people read."""

import pyarrow as pa

from checks.pii.scan import scan
from checks.pii.settings import Settings
from pipelines.init_yaml import Proposal


def hide(proposal: Proposal) -> bool:
    """Return whether a listed value is personal data or a secret, and if so say so in a comment."""
    texts = [str(value) for value in proposal.seen.counts or ()]
    found = scan(pa.array(sorted(set(texts)), pa.string()), proposal.seen.name, Settings())
    if found:
        proposal.comments.append("check: its values are not listed: some are personal data")
    return bool(found)
