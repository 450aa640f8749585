"""What `assay init` says of columns that may tell of persons; it decides nothing about them."""

from checks.disclosure.headings import is_quasi_identifier
from checks.pii.headings import kind_of
from pipelines.init_yaml import Proposal


def note(proposals: list[Proposal]) -> None:
    """Propose, as comments, what only a person can decide: who may be told by which column."""
    for proposal in proposals:
        if proposal.is_key or {"label", "text"} & set(proposal.roles):
            continue
        name, is_text = proposal.seen.name, proposal.seen.logical == "string"
        kind = kind_of(name) if is_text and proposal.valid is None else None
        if kind:
            proposal.comments.append(f"check: may hold {kind}: set assay.pii")
        if is_quasi_identifier(name):
            proposal.comments.append(
                "check: tells of a person? {property: assay.role, value: quasi_identifier}"
            )
