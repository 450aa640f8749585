"""The label's own cells: rows without one, and cells that hold several labels."""

from collections import Counter

from checks.kit.wording import count
from pipelines.proposal.breaking import NAMED, Breaking
from pipelines.proposal.contract_yaml import Proposal
from pipelines.proposal.deviants import is_rare

SEPARATORS = "|;,/+&"
LEAST = 0.02  # of the labelled rows hold several labels
KNOWN = 0.8  # of the parts occur alone, or in several combinations


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
    for sign in SEPARATORS:
        split = {value: {*map(str.strip, value.split(sign))} - {""} for value in counts}
        used = Counter(part for parts in split.values() for part in parts)
        joined = {value: parts for value, parts in split.items() if sign in value}
        rows = sum(counts[value] for value in joined)
        parts = [part for found in joined.values() for part in found]
        known = sum(used[part] > 1 for part in parts)
        if rows >= LEAST * filled and len(used) < len(counts) and known >= KNOWN * len(parts):
            return (
                f"looks like several labels per row: {count(rows, 'cell')} join them with "
                f"'{sign}', and each combination counts as a class of its own; if you do not want "
                "that, write them as a list (JSON or Parquet, role labels), or give each row one "
                "label"
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
