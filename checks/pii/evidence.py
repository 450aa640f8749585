"""What a finding says of the personal data in one text: how much and where, never what."""

from collections.abc import Iterator
from typing import TypeAlias

from checks.pii.scan import Found

Line: TypeAlias = tuple[str, str, float, str, str]  # rule, severity, score, evidence, suggestion
_CLASSES = ((8, "up to 8"), (16, "9 to 16"), (32, "17 to 32"))
_ADVICE = (
    "remove it at the source, set assay.pii for the column, or release the row if the match is a "
    "false alarm"
)
_REPLACED = "no action needed: the clean dataset has a placeholder instead"


def lines_of(found: Found, *, is_replaced: bool) -> Iterator[Line]:
    """Yield a finding for each type in a text, or one that says why the text was not scanned."""
    if found.unscanned:
        why = f"not scanned: {found.unscanned}"
        yield (
            "pii.unscanned",
            "error",
            1.0,
            why,
            "shorten the text, raise `max_chars` or `steps`, or repair what the evidence names",
        )
        return
    entities = dict.fromkeys(hit.entity for hit, _ in found.hits)
    for entity in entities:
        mine = [(hit, verdict) for hit, verdict in found.hits if hit.entity == entity]
        worst = "error" if any(verdict == "error" for _, verdict in mine) else "warning"
        score = max(hit.score for hit, _ in mine)
        first = mine[0][0]
        evidence = (
            f"{len(mine)} x {entity}; the first starts at character {first.start} and is "
            f"{_length(first.end - first.start)} characters long"
            + ("; at least one was disguised" if found.disguised else "")
        )
        severity, advice = ("info", _REPLACED) if is_replaced else (worst, _ADVICE)
        yield f"pii.{entity}", severity, score, evidence, advice


def _length(count: int) -> str:
    return next((name for most, name in _CLASSES if count <= most), "more than 32")
