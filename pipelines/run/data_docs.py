"""The files of Great Expectations, safe to mail: suite, result and Data Docs pages.

The library's own page renderers make the pages, without a project folder. Scripts and everything
that would be fetched from the network are removed. The results hold counts and statistics only: no
cell of a column unless its personal data are allowed.
"""

import copy
import dataclasses
import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from checks.kit.contract_model import Contract
from pipelines.run import kept_docs, result_page
from pipelines.run.kept_docs import Documents, Visible
from pipelines.run.result_page import Part, Shown

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


class Made(NamedTuple):
    """The documents of a result.

    Attributes:
        documents: to be written.
        may_stay: whether a later run can fill them in.
        why: why the pages could not be rendered, None if they were.
    """

    documents: Documents
    may_stay: bool
    why: str | None


def made(
    contract: Contract,
    expectations: Sequence[Any],
    results: Mapping[str, Any],
    sql_results: list[dict[str, Any]],
    *,
    is_plain: bool,
) -> Made:
    """Return the documents of a result.

    Args:
        contract: says which columns may be shown, and whether pages are drawn.
        expectations: Great Expectations' objects, in order.
        results: its results by key; changed to what may be shown.
        sql_results: outcome of each SQL rule, which the library does not run.
        is_plain: whether a later run may do without the library, if its page can be filled in.
    """
    from great_expectations.core.expectation_suite import ExpectationSuite

    suite = ExpectationSuite(name=contract.name, expectations=list(expectations))
    columns = kept_docs.visible(contract)
    ordered = [_cleaned(results[item.meta["key"]], columns) for item in expectations]
    whole = _whole(contract, ordered, sql_results)
    told = Documents(kept_docs.as_json(suite.to_json_dict()), whole.to_json_dict(), {}, [])
    if not contract.has_docs:
        return Made(told, is_plain, None)
    try:
        pages = {kept_docs.PAGE: _result_page(whole), "suite.html": _suite_page(suite)}
        page = _template(pages[kept_docs.PAGE], whole) if is_plain else None
    except Exception as error:  # noqa: BLE001  a page that cannot be rendered hides no finding
        why = f"Data Docs could not be rendered ({type(error).__name__}); result.json is complete"
        pages = {kept_docs.PAGE: f"<!doctype html><p>{why}</p>\n"}
        return Made(dataclasses.replace(told, pages=pages), may_stay=False, why=why)
    return Made(dataclasses.replace(told, pages=pages, page=page or []), page is not None, None)


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


def _template(page: str, whole: Any) -> list[Part] | None:
    """Return the template of a result's page, None if it would not do for other results.

    The library draws the page for results of which all rules are broken, by other numbers, and if
    no column's rules are all kept in this one, again for results of which all are.
    """
    ordered = whole.results
    usual = _shown(ordered)
    parts = result_page.cut(page, usual, success=whole.success)
    if parts is None:
        return None
    trials = [False] if result_page.has_kept_section(usual) else [False, True]
    for success in trials:
        other = result_page.other_results(usual, success=success)
        drawn = copy.copy(whole)
        drawn.results, drawn.success = (
            [_with(*pair) for pair in zip(ordered, other, strict=True)],
            success,
        )
        drawn.statistics = kept_docs.totals([success] * len(other))
        if not result_page.agrees(parts, _result_page(drawn), other, success=success):
            return None
    return parts


def _shown(ordered: Sequence[Any]) -> list[Shown]:
    configs = [result.expectation_config for result in ordered]
    return [
        Shown(config.type, config.kwargs.get("column"), result.success, result.result)
        for config, result in zip(configs, ordered, strict=True)
    ]


def _with(result: Any, shown: Shown) -> Any:
    """Return a copy of a result that shows something else."""
    changed = copy.copy(result)
    changed.result, changed.success = shown.result, shown.success
    return changed


def _result_page(result: Any) -> str:
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer

    renderer: Any = ValidationResultsPageRenderer()
    return _viewed(renderer.render(result))


def _suite_page(suite: Any) -> str:
    from great_expectations.render.renderer.page_renderer import ExpectationSuitePageRenderer

    renderer: Any = ExpectationSuitePageRenderer()
    return _viewed(renderer.render(suite))


def _viewed(document: Any) -> str:
    return _offline(_view().render(document))


@functools.cache
def _view() -> Any:
    """Return what fills in the library's templates, which are read and compiled once."""
    from great_expectations.render.view.view import DefaultJinjaPageView

    view: Any = DefaultJinjaPageView()
    view.env.auto_reload = False
    return view


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
