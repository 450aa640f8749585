"""The documents of the rules: what they show, and those kept from an earlier run of the contract.

If all rules of a contract are plain, Great Expectations need not make its documents again. The
suite depends on the contract alone. The result, and the page of it, differ in what depends on the
data, which is filled in (`result_page`).
"""

import dataclasses
import datetime as dt
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from checks.kit.contract_model import Contract
from checks.rules.plain_rules import Result
from pipelines.run import result_page
from pipelines.run.result_page import Part, Shown

PAGE = "index.html"
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
        pages: by name; empty if the contract wants none.
        page: the template of the page PAGE, for a later run; empty if there is none.
    """

    suite: str
    result: dict[str, Any]
    pages: dict[str, str]
    page: list[Part]

    def lasting(self) -> "Documents":
        """Return the documents without what depends on the data."""
        absent: dict[str, Any] = {"result": {}, "success": None}
        parts = [{**part, **absent} for part in self.result["results"]]
        meta = {**self.result["meta"], "sql_rules": []}
        result = {**self.result, "meta": meta, "results": parts, "statistics": {}, "success": None}
        pages = {name: page for name, page in self.pages.items() if name != PAGE}
        return dataclasses.replace(self, result=result, pages=pages)


def shown(results: Sequence[Mapping[str, Any]]) -> list[Shown]:
    """Return what the page shows of the results, as they are in result.json."""
    return [
        Shown(
            one["expectation_config"]["type"],
            one["expectation_config"]["kwargs"].get("column"),
            one["success"],
            one["result"],
        )
        for one in results
    ]


def write_kept(
    folder: Path,
    contract: Contract,
    kept: Documents,
    results: Sequence[Result],
    sql_results: list[dict[str, Any]],
) -> None:
    """Write the kept documents, filled in with these results, into a new folder."""
    columns = visible(contract)
    parts = []
    for part, one in zip(kept.result["results"], results, strict=True):
        config = part["expectation_config"]
        told = safe(one.result, config["type"], config["kwargs"], columns)
        parts.append({**part, "result": told, "success": one.success})
    is_kept = [one.success for one in results]
    result = {
        **kept.result,
        "meta": {**kept.result["meta"], "sql_rules": sql_results},
        "results": parts,
        "statistics": totals(is_kept),
        "success": all(is_kept) and all(one["success"] for one in sql_results),
    }
    pages = {}
    if contract.has_docs:
        page = result_page.filled(kept.page, shown(parts), success=result["success"])
        pages = {**kept.pages, PAGE: page}
    write(folder, dataclasses.replace(kept, result=result, pages=pages))


def write(folder: Path, documents: Documents) -> None:
    """Write suite.json, result.json and, if there are pages, data_docs/ into a new folder."""
    folder.mkdir()
    (folder / "suite.json").write_text(documents.suite, encoding="utf-8")
    (folder / "result.json").write_text(as_json(documents.result), encoding="utf-8")
    if documents.pages:
        (folder / "data_docs").mkdir()
    for name, page in documents.pages.items():
        (folder / "data_docs" / name).write_text(page, encoding="utf-8")


def as_json(data: Any) -> str:
    """Return the text of a file of JSON."""
    return json.dumps(data, indent=1, sort_keys=True, default=_text, ensure_ascii=False) + "\n"


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, dt.datetime) else str(value)


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
