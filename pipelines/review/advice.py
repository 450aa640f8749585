"""What would make a row pass: for each reason against it, what the contract or the clean rows ask.

Nothing is quoted of a column that may be personal.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from checks.kit.contract_model import Rule
from pipelines.review.reviewed_run import ReviewedRun
from provenance.base.codes import CODES

MIDDLE = (0.05, 0.95)
LISTED = 12  # valid values that are written out
_BOUNDS = {
    "minimum": ("at least", "more than"),
    "maximum": ("at most", "less than"),
}


def passing(run: ReviewedRun, reasons: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a sentence for each reason that says what would settle it, without repeats.

    Args:
        run: under review.
        reasons: findings on one row.
    """
    made: dict[str, None] = {}
    for reason in reasons:
        if reason["severity"] == "info":
            continue
        made |= dict.fromkeys(_of(run, reason))
    return list(made)


def _of(run: ReviewedRun, reason: Mapping[str, Any]) -> Iterator[str]:
    rule = next((each for each in run.contract.rules if each.id == reason["rule"]), None)
    column = reason["column"]
    may_name = column and column not in run.private
    if rule is not None and may_name and (asks := _asked(rule)):
        yield f"{column} must be {asks}"
    elif reason["check"] == "outliers" and may_name:
        yield from _usual(run, column)
    elif (code := reason["rule"].removeprefix("ASSAY-")) in CODES:
        yield _sentence(CODES[code][1])
    elif reason["suggestion"]:
        yield _sentence(reason["suggestion"])


def _asked(rule: Rule) -> str:
    """Return what a rule of the contract asks of a cell, empty if that is no short phrase."""
    params = rule.params
    if rule.kind in _BOUNDS:
        return f"{_BOUNDS[rule.kind][bool(params.get('exclusive'))]} {params['value']}"
    if rule.kind in ("minLength", "maxLength"):
        word = "at least" if rule.kind == "minLength" else "at most"
        return f"{word} {params['value']} characters long"
    if rule.kind == "pattern":
        return f"a text that matches {params['regex']}"
    if rule.kind == "validValues":
        values = [str(value) for value in params["values"]]
        more = f" and {len(values) - LISTED} more" if len(values) > LISTED else ""
        return f"one of {', '.join(values[:LISTED])}{more}"
    return "there" if rule.kind in ("required", "nullValues") else ""


def _usual(run: ReviewedRun, column: str) -> Iterator[str]:
    """Yield where most clean rows lie, for a column of numbers or times."""
    if column not in run.columns:
        return
    _, table = run.clean_sample
    if column not in table.column_names or not len(table):
        return
    cells = table[column].combine_chunks().drop_null()
    kind = cells.type
    if len(cells) and (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        low, high = pc.quantile(cells, q=[*MIDDLE], interpolation="nearest").to_pylist()
        yield f"nine of ten clean rows have {column} between {low:,} and {high:,}"


def _sentence(text: str) -> str:
    return text.rstrip(".")
