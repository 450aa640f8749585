"""The files of Great Expectations, safe to mail: suite, result and Data Docs pages.

The library's own page renderers make the pages, without a project folder. Scripts and everything
that would be fetched from the network are removed. The results hold counts and statistics only: no
cell of a column unless its personal data are allowed.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from checks.kit.contract_model import Contract
from checks.rules.plain_rules import ROW_COUNT
from pipelines.run import kept_docs
from pipelines.run.kept_docs import Documents, Visible

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


def made(
    contract: Contract,
    expectations: Sequence[Any],
    results: Mapping[str, Any],
    sql_results: list[dict[str, Any]],
    *,
    is_plain: bool,
) -> tuple[Documents, str | None]:
    """Return the documents of a result.

    Args:
        contract: says which columns may be shown, and whether pages are drawn.
        expectations: Great Expectations' objects, in order.
        results: its results by key; changed to what may be shown.
        sql_results: outcome of each SQL rule, which the library does not run.
        is_plain: whether the only statistic is the number of rows, so that the pages can be kept.

    Returns:
        The documents, and why the pages could not be rendered, None if they were.
    """
    from great_expectations.core.expectation_suite import ExpectationSuite

    suite = ExpectationSuite(name=contract.name, expectations=list(expectations))
    columns = kept_docs.visible(contract)
    ordered = [_cleaned(results[item.meta["key"]], columns) for item in expectations]
    whole = _whole(contract, ordered, sql_results)
    told = Documents(kept_docs.as_json(suite.to_json_dict()), whole.to_json_dict(), {}, [])
    shows = kept_docs.shown(ordered, sql_results) if is_plain else []
    if not contract.has_docs:
        return dataclasses.replace(told, shows=shows), None
    try:
        pages, may_stay = _pages(suite, whole, is_plain=is_plain)
    except Exception as error:  # noqa: BLE001  a page that cannot be rendered hides no finding
        why = f"Data Docs could not be rendered ({type(error).__name__}); result.json is complete"
        return dataclasses.replace(
            told, pages={"index.html": f"<!doctype html><p>{why}</p>\n"}
        ), why
    return dataclasses.replace(told, pages=pages, shows=shows if may_stay else []), None


def _whole(contract: Contract, ordered: list[Any], sql_results: list[dict[str, Any]]) -> Any:
    """Return the suite's result: each expectation's, the totals, and the SQL rules' outcome."""
    from great_expectations.core.expectation_validation_result import (
        ExpectationSuiteValidationResult,
    )

    is_kept = [bool(result.success) for result in ordered]
    statistics: Any = kept_docs.totals(is_kept)
    meta: Any = {"contract_sha256": contract.sha256, "sql_rules": sql_results}
    return ExpectationSuiteValidationResult(
        success=all(is_kept) and all(item["success"] for item in sql_results),
        results=ordered,
        suite_name=contract.name,
        statistics=statistics,
        meta=meta,
    )


def _pages(suite: Any, whole: Any, *, is_plain: bool) -> tuple[dict[str, str], bool]:
    """Return the pages by name, and whether ROWS stands in them for the number of rows."""
    counts = [r.result for r in whole.results if r.expectation_config.type == ROW_COUNT]
    if not is_plain:
        return _drawn(suite, whole), False
    usual = [one["observed_value"] for one in counts]
    for one in counts:
        one["observed_value"] = kept_docs.ROWS
    pages = _drawn(suite, whole)
    for one, value in zip(counts, usual, strict=True):
        one["observed_value"] = value
    may_stay = kept_docs.marks(pages["index.html"]) == len(counts)
    return (pages if may_stay else _drawn(suite, whole)), may_stay


def _drawn(suite: Any, result: Any) -> dict[str, str]:
    from great_expectations.render.renderer.page_renderer import (
        ExpectationSuitePageRenderer,
        ValidationResultsPageRenderer,
    )
    from great_expectations.render.view.view import DefaultJinjaPageView

    view: Any = DefaultJinjaPageView()
    for_result: Any = ValidationResultsPageRenderer()
    for_suite: Any = ExpectationSuitePageRenderer()
    parts = {"index.html": for_result.render(result), "suite.html": for_suite.render(suite)}
    return {name: _offline(view.render(document)) for name, document in parts.items()}


def _offline(page: str) -> str:
    """Return the page without anything that fetches or runs."""
    text = _HREF.sub("", _REMOTE.sub("", page))
    return re.sub(r"<head\b[^>]*>", lambda _: _HEAD, text, count=1, flags=re.IGNORECASE)


def _cleaned(result: Any, columns: Visible) -> Any:
    """Return a result without values that may be a cell, and without texts of exceptions."""
    config = result.expectation_config
    shown = kept_docs.safe(result.result or {}, config.type, config.kwargs, columns)
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
