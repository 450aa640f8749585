"""The files of Great Expectations, safe to mail: suite, result and Data Docs pages.

The library's own page renderers make the pages, without a project folder. Scripts and everything
that would be fetched from the network are removed. The results hold counts and statistics only: no
cell of a column unless its personal data are allowed.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from checks.kit.contract_model import Contract

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
_REMOTE = re.compile(
    r"<script\b.*?</script>|<link\b[^>]*>|<img\b[^>]*>|<footer\b.*?</footer>|"
    r"<(?:iframe|object|embed)\b.*?>",
    re.IGNORECASE | re.DOTALL,
)
_HREF = re.compile(r"\s(?:href|src|action)\s*=\s*(\"[^\"]*\"|'[^']*')", re.IGNORECASE)
_HEAD = """<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 1rem auto; padding: 0 1rem;
 color-scheme: light dark }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 }
td, th { border: 1px solid #8886; padding: .3rem .6rem; text-align: left; vertical-align: top }
.badge { font-family: ui-monospace, monospace }
</style>"""


def write(
    folder: Path,
    contract: Contract,
    expectations: Sequence[Any],
    results: Mapping[str, Any],
    sql_results: list[dict[str, Any]],
) -> str | None:
    """Write suite.json, result.json and data_docs/ into a new folder.

    Args:
        folder: to make.
        contract: says which columns may be shown.
        expectations: Great Expectations' objects, in order.
        results: its results by key.
        sql_results: outcome of each SQL rule, which the library does not run.

    Returns:
        Why the pages could not be rendered, None if they were.
    """
    from great_expectations.core.expectation_suite import ExpectationSuite

    pages = folder / "data_docs"
    pages.mkdir(parents=True)
    suite = ExpectationSuite(name=contract.name, expectations=list(expectations))
    protected, allowed = contract.protected, _allowed(contract)
    ordered = [_cleaned(results[item.meta["key"]], protected, allowed) for item in expectations]
    result = _whole(contract, ordered, sql_results)
    _write_json(folder / "suite.json", suite.to_json_dict())
    _write_json(folder / "result.json", result.to_json_dict())
    try:
        _write_pages(pages, suite, result)
    except OSError:
        raise  # the disk's fault, not the page's
    except Exception as error:  # noqa: BLE001  a page that cannot be rendered hides no finding
        why = f"Data Docs could not be rendered ({type(error).__name__}); result.json is complete"
        (pages / "index.html").write_text(f"<!doctype html><p>{why}</p>\n", encoding="utf-8")
        return why
    return None


def _whole(contract: Contract, ordered: list[Any], sql_results: list[dict[str, Any]]) -> Any:
    """Return the suite's result: each expectation's, the totals, and the SQL rules' outcome."""
    from great_expectations.core.expectation_validation_result import (
        ExpectationSuiteValidationResult,
    )

    kept = sum(bool(result.success) for result in ordered)
    total = len(ordered)
    statistics: Any = {
        "evaluated_expectations": total,
        "successful_expectations": kept,
        "unsuccessful_expectations": total - kept,
        "success_percent": 100.0 * kept / total if total else None,
    }
    meta: Any = {"contract_sha256": contract.sha256, "sql_rules": sql_results}
    return ExpectationSuiteValidationResult(
        success=kept == total and all(item["success"] for item in sql_results),
        results=ordered,
        suite_name=contract.name,
        statistics=statistics,
        meta=meta,
    )


def _write_pages(pages: Path, suite: Any, result: Any) -> None:
    from great_expectations.render.renderer.page_renderer import (
        ExpectationSuitePageRenderer,
        ValidationResultsPageRenderer,
    )
    from great_expectations.render.view.view import DefaultJinjaPageView

    view: Any = DefaultJinjaPageView()
    for_result: Any = ValidationResultsPageRenderer()
    for_suite: Any = ExpectationSuitePageRenderer()
    parts = {"index.html": for_result.render(result), "suite.html": for_suite.render(suite)}
    for name, document in parts.items():
        (pages / name).write_text(_offline(view.render(document)), encoding="utf-8")


def _offline(page: str) -> str:
    """Return the page without anything that fetches or runs."""
    text = _HREF.sub("", _REMOTE.sub("", page))
    return re.sub(r"<head\b[^>]*>", lambda _: _HEAD, text, count=1, flags=re.IGNORECASE)


def _allowed(contract: Contract) -> frozenset[str]:
    """Return the columns whose cells may be shown."""
    return frozenset(column.name for column in contract.columns if column.pii == "allow")


def _cleaned(result: Any, protected: frozenset[str], allowed: frozenset[str]) -> Any:
    """Return a result without values that may be a cell, and without texts of exceptions."""
    config = result.expectation_config
    given = dict(result.result or {})
    columns = _columns_of(config.kwargs)
    # rows that break a rule are findings anyway; counts of the other cells may identify persons
    withheld = _WITHHELD if columns & protected else frozenset()
    shown = {key: given[key] for key in _COUNTS if key in given and key not in withheld}
    if "observed_value" in given and _may_show(config, protected, allowed):
        shown["observed_value"] = given["observed_value"]
    result.result, result.success = shown, bool(result.success)  # some are numpy's
    info = result.exception_info or {}
    raised = bool(info.get("raised_exception", bool(info)))
    said = "the rule could not be evaluated" if raised else None
    result.exception_info = {
        "raised_exception": raised,
        "exception_message": said,
        "exception_traceback": said,
    }
    return result


def _columns_of(kwargs: Mapping[str, Any]) -> frozenset[str]:
    named = (kwargs.get(key) for key in ("column", "column_A", "column_B"))
    several = [*(kwargs.get("column_list") or ()), *(kwargs.get("column_set") or ())]
    return frozenset(name for name in (*named, *several) if isinstance(name, str))


def _may_show(config: Any, protected: frozenset[str], allowed: frozenset[str]) -> bool:
    if "expect_table_" not in config.type and _columns_of(config.kwargs) & protected:
        return False
    if any(word in config.type for word in _STATISTICS):
        return True
    return config.kwargs.get("column") in allowed


def _write_json(path: Path, data: Any) -> None:
    text = json.dumps(data, indent=1, sort_keys=True, default=str, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
