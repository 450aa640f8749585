"""The label's own cells: rows without one, and cells that hold several labels."""

import re

from checks.kit.wording import count
from pipelines.proposal.breaking import NAMED, Breaking
from pipelines.proposal.contract_yaml import Proposal
from pipelines.proposal.deviants import is_rare

SEPARATORS = "|;,/+&"
LEAST = 0.02  # of the labelled rows hold several labels
KNOWN = 0.8  # of the parts occur alone as well


def propose(proposal: Proposal) -> None:
    """Let labels be missing if that is no rare fault, and tell of cells with several labels."""
    seen = proposal.seen
    missing = seen.rows - seen.filled - seen.held
    if missing and not is_rare(missing, seen.rows):
        proposal.is_partial = True
        share = f"{missing:,} of {seen.rows:,} rows have no label"
        proposal.comments.append(f"check: {share}, so labels may be missing and only others judged")
    elif missing:
        proposal.comments.append(f"check: {missing:,} rows have no label and will be quarantined")
    if told := several(proposal):
        proposal.comments.append(f"check: {told}")


def several(proposal: Proposal) -> str | None:
    """Return what to tell of labels such as `a|b`; None if each cell holds one label."""
    counts, filled = proposal.seen.counts, proposal.seen.filled
    if proposal.seen.logical != "string" or not counts:
        return None
    alone = {value.strip() for value in counts}
    for sign in SEPARATORS:
        joined = {value: re.split(re.escape(sign), value) for value in counts if sign in value}
        rows = sum(counts[value] for value in joined)
        parts = [part.strip() for value in joined.values() for part in value]
        if rows >= LEAST * filled and sum(part in alone for part in parts) >= KNOWN * len(parts):
            return (
                f"{count(rows, 'label')} hold several labels joined by '{sign}': each combination "
                "counts as a class of its own; split them, one label a row, if that is not meant"
            )
    return None


def faults(proposals: list[Proposal], broken: Breaking) -> list[str]:
    """Return notes on the label: rows without one, named if they will be held, and joined ones."""
    notes = []
    for proposal in (p for p in proposals if "label" in p.roles):
        seen = proposal.seen
        missing = seen.rows - seen.filled - seen.held
        if missing and proposal.is_partial:
            notes.append(f"'{seen.name}': {missing:,} of {seen.rows:,} rows have no label: allowed")
        elif missing:
            first = broken.first.get(seen.name, [])
            named = ", ".join(map(str, first)) + (", ..." if len(first) == NAMED else "")
            what = f"{count(missing, 'row')} have no label; held in this column: {named}"
            notes.append(f"'{seen.name}': {what}")
        if told := several(proposal):
            notes.append(f"'{seen.name}': {told}")
    return notes
