"""The documents of the rules: what they show, and those kept from an earlier run of the contract.

If all rules of a contract are plain, Great Expectations need not make its documents again. The
suite depends on the contract alone. The result differs in its counts, which are filled in. Its page
shows the number of rows, which is filled in, and which rules are broken, and by how many rows:
where that differs from the kept page, the library draws a new one.
"""

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from checks.kit.contract_model import Contract
from checks.rules.plain_rules import ROW_COUNT, Result

ROWS = 918_273_645  # stands for the number of rows in a page that is kept
_ROWS = re.compile(r"918(?P<between>\D{0,6})273(?P=between)645")
_COUNTS = (
    "element_count",
    "unexpected_count",
    "unexpected_percent",
    "unexpected_percent_total",
    "unexpected_percent_nonmissing",
    "missing_count",
    "missing_percent",
    "bound",
)
_WITHHELD = frozenset({"missing_count", "missing_percent", "unexpected_percent_nonmissing"})
# statistics that are not a cell of the dataset, unlike a minimum, a maximum or a set of values
_STATISTICS = (
    "mean",
    "stdev",
    "sum",
    "unique_value_count",
    "proportion",
    "expect_table_",
    "kl_divergence",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Documents:
    """What Great Expectations made for a contract; all are JSON values.

    Attributes:
        suite: text of suite.json.
        result: result.json, of which a later run replaces what depends on the data.
        pages: by name, with ROWS for the number of rows; empty if the contract wants none.
        shows: what the pages show of the results; empty if they must not be kept.
    """

    suite: str
    result: dict[str, Any]
    pages: dict[str, str]
    shows: list[Any]


def shown(results: Sequence[Any], sql_results: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Return what a page shows of the results, as `safe` leaves them, but the number of rows."""
    told: list[Any] = [all(one["success"] for one in sql_results)]
    for one in results:
        counts = {key: one.result[key] for key in _COUNTS if key in one.result}
        if not counts.get("unexpected_count"):
            # not how many cells were judged, only whether any was
            counts = {"judged": counts.get("unexpected_percent") is not None}
        told.append([bool(one.success), counts])
    return told


def write_kept(
    folder: Path,
    contract: Contract,
    kept: Documents,
    results: Sequence[Result],
    sql_results: list[dict[str, Any]],
) -> bool:
    """Write the kept documents, with the counts of these results, into a new folder.

    Returns:
        Whether the kept pages show these results; if not, nothing was written.
    """
    told, columns = [], visible(contract)
    for part, one in zip(kept.result["results"], results, strict=True):
        config = part["expectation_config"]
        told.append(
            Result(one.success, safe(one.result, config["type"], config["kwargs"], columns))
        )
    if contract.has_docs and shown(told, sql_results) != kept.shows:
        return False
    parts = [
        {**part, "result": one.result, "success": one.success}
        for part, one in zip(kept.result["results"], told, strict=True)
    ]
    is_kept = [one.success for one in told]
    result = {
        **kept.result,
        "meta": {**kept.result["meta"], "sql_rules": sql_results},
        "results": parts,
        "statistics": totals(is_kept),
        "success": all(is_kept) and all(one["success"] for one in sql_results),
    }
    pages = kept.pages if contract.has_docs else {}
    write(folder, dataclasses.replace(kept, result=result, pages=pages))
    return True


def write(folder: Path, documents: Documents) -> None:
    """Write suite.json, result.json and, if there are pages, data_docs/ into a new folder."""
    folder.mkdir()
    (folder / "suite.json").write_text(documents.suite, encoding="utf-8")
    (folder / "result.json").write_text(as_json(documents.result), encoding="utf-8")
    if documents.pages:
        (folder / "data_docs").mkdir()
    for name, page in documents.pages.items():
        text = _with_rows(page, documents.result) if documents.shows else page
        (folder / "data_docs" / name).write_text(text, encoding="utf-8")


def as_json(data: Any) -> str:
    """Return the text of a file of JSON."""
    return json.dumps(data, indent=1, sort_keys=True, default=str, ensure_ascii=False) + "\n"


def _with_rows(page: str, result: Mapping[str, Any]) -> str:
    """Return a page with the number of rows in the place of ROWS, its digits grouped likewise."""
    counted = (r for r in result["results"] if r["expectation_config"]["type"] == ROW_COUNT)
    rows = next((one["result"]["observed_value"] for one in counted), 0)
    return _ROWS.sub(lambda found: f"{rows:,}".replace(",", found["between"]), page)


def marks(page: str) -> int:
    """Return how often ROWS stands in a page."""
    return len(_ROWS.findall(page))


def totals(is_kept: Sequence[bool]) -> dict[str, Any]:
    """Return the statistics of a whole result, from the success of each expectation."""
    total, kept = len(is_kept), sum(is_kept)
    return {
        "evaluated_expectations": total,
        "successful_expectations": kept,
        "unsuccessful_expectations": total - kept,
        "success_percent": 100.0 * kept / total if total else None,
    }


class Visible(NamedTuple):
    """The columns whose cells may be shown, and those whose statistics may not be."""

    allowed: frozenset[str]
    protected: frozenset[str]


def visible(contract: Contract) -> Visible:
    """Return what may be shown of a contract's columns."""
    allowed = frozenset(column.name for column in contract.columns if column.pii == "allow")
    return Visible(allowed, contract.protected)


def safe(
    given: Mapping[str, Any], kind: str, kwargs: Mapping[str, Any], columns: Visible
) -> dict[str, Any]:
    """Return the values of an expectation's result that may be shown: counts, and no cell.

    Args:
        given: the result's values by name.
        kind: type of the expectation.
        kwargs: its arguments.
        columns: which may be shown.
    """
    is_protected = bool(_columns_of(kwargs) & columns.protected)
    # rows that break a rule are findings anyway; counts of the other cells may identify persons
    withheld = _WITHHELD if is_protected else frozenset()
    found = {key: given[key] for key in _COUNTS if key in given and key not in withheld}
    if "observed_value" in given and ("expect_table_" in kind or not is_protected):
        is_statistic = any(word in kind for word in _STATISTICS)
        if is_statistic or kwargs.get("column") in columns.allowed:
            found["observed_value"] = given["observed_value"]
    return found


def _columns_of(kwargs: Mapping[str, Any]) -> frozenset[str]:
    named = (kwargs.get(key) for key in ("column", "column_A", "column_B"))
    several = [*(kwargs.get("column_list") or ()), *(kwargs.get("column_set") or ())]
    return frozenset(name for name in (*named, *several) if isinstance(name, str))
