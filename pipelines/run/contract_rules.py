"""The rules of a contract: Great Expectations' suite, and one pass that finds the rows.

Writes `findings-contract.parquet` and `expectations/` (suite.json, result.json, data_docs/). The
violating rows come from the pass and the counts from both, which must agree. A rule that could not
be evaluated is an error of the dataset (ASSAY-K001): not checked is never passed.
"""

import contextlib
import os
import re
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from checks.kit import findings
from checks.kit.contract_model import Contract, Rule
from checks.kit.findings import Findings
from checks.rules import duck_engine, ge_adapter, nested_rules, one_pass, suite
from checks.rules.suite import Clause
from pipelines.checking import engine
from pipelines.run import data_docs
from pipelines.store import staged_contract
from provenance.rows.shards import read_shard, write_table
from provenance.rows.snapshot import Snapshot

CHECK = "contract"
GRACE = 30.0  # seconds from the interrupt of a query until this process exits
LATE = 70  # its exit code then
FAILED, DISAGREES = "ASSAY-K001", "ASSAY-K016"
_ADVICE = "repair the row at its source, correct the rule, or release the row"
_TOTALS = re.compile(r"\s*select\s+(count|avg|sum|stddev|median|count_if)\w*\s*\(", re.IGNORECASE)


def run_rules(contract: str | Mapping[str, str], snapshot: str, out: str) -> str:
    """Evaluate a contract's rules; runs in a child process that holds Great Expectations.

    Args:
        contract: see `staged_contract.loaded`.
        snapshot: folder of the source's snapshot.
        out: folder of the run.

    Returns:
        The digest of the contract that the child parsed.
    """
    parsed = staged_contract.loaded(contract)
    # half of the stage's own time, so that a slow SQL rule is reported by name
    seconds = min(one_pass.Budget().seconds, engine.seconds_for(parsed) / 2)
    source = Snapshot.load(Path(snapshot) / "snapshot.json")
    evaluate(parsed, source, Path(out), budget=one_pass.Budget(seconds=seconds))
    return parsed.sha256


def evaluate(
    contract: Contract, snapshot: Snapshot, out: Path, *, budget: one_pass.Budget | None = None
) -> Path:
    """Evaluate every rule of a contract over a snapshot.

    Args:
        contract: from the loader.
        snapshot: its shards are read; rows that were held or rejected are not judged here.
        out: an existing folder, which gets the findings and `expectations/`.
        budget: memory, threads and time of the engine.

    Returns:
        Path of the findings, check `contract`, sorted by identity.

    Raises:
        AssayError: ASSAY-C005 if Great Expectations refuses a rule's arguments.
    """
    duck_engine.silence()
    allowed = budget or one_pass.Budget()
    shards = [ref.path for ref in snapshot.shards]
    with (
        tempfile.TemporaryDirectory(prefix="spill-", dir=out) as spill,
        one_pass.opened(contract, shards, Path(spill), allowed) as connection,
    ):
        parts, sql_results = _sql_findings(contract, connection, allowed.seconds)
        parts += _suite_findings(contract, connection, out / "expectations", sql_results)
    parts += _nested_findings(contract, snapshot)
    path = out / "findings-contract.parquet"
    write_table(findings.ordered(findings.concat(parts)), path)
    return path


def _suite_findings(
    contract: Contract, connection: Any, folder: Path, sql_results: list[dict[str, Any]]
) -> list[Findings]:
    clauses = suite.clauses(contract)
    expectations = suite.expectations(clauses)
    adapter = ge_adapter.Adapter(connection)
    try:
        results = adapter.validate(expectations)
        by_row = [clause for clause in clauses if clause.by_row]
        conditions = adapter.conditions(by_row)
        usable = {n: sql for n, sql in conditions.items() if isinstance(sql, str)}
        failed = {n: error for n, error in conditions.items() if not isinstance(error, str)}
        rows, broken = one_pass.offending_each(connection, usable)
    finally:
        adapter.close()
    failed |= broken
    parts = _row_findings(by_row, rows, failed, results)
    parts += _overall_findings(clauses, results)
    if why := data_docs.write(folder, contract, expectations, results, sql_results):
        parts.append(
            findings.make(None, check=CHECK, rule=FAILED, severity="warning", evidence=why)
        )
    return parts


def _nested_findings(contract: Contract, snapshot: Snapshot) -> list[Findings]:
    """Return the findings of the rules on nested columns, which the suite does not cover."""
    names = nested_rules.columns(contract)
    shards = (read_shard(ref, names) for ref in snapshot.shards) if names else ()
    return [nested_rules.evaluate(shard, contract) for shard in shards]


def _row_findings(
    clauses: list[Clause],
    rows: Mapping[int, np.ndarray],
    failed: Mapping[int, Exception],
    results: Mapping[str, Any],
) -> list[Findings]:
    parts = []
    for clause in clauses:
        result = results[clause.key]
        if clause.number in failed:
            parts.append(_failure(clause.rule, failed[clause.number]))
        elif _raised(result):
            parts.append(_failure(clause.rule, None))
        else:
            found = rows[clause.number]
            if len(found):
                parts.append(_broken(clause, found))
            if len(found) != _count(result):
                parts.append(_disagreement(clause.rule, len(found), _count(result)))
    return parts


def _overall_findings(clauses: tuple[Clause, ...], results: Mapping[str, Any]) -> list[Findings]:
    """Return the findings of rules on the whole dataset, and set the success of their results."""
    parts: list[Findings] = []
    grouped: dict[int, list[Clause]] = {}
    for clause in clauses:
        if not clause.by_row:
            grouped.setdefault(id(clause.rule), []).append(clause)
    for group in grouped.values():
        rule = group[0].rule
        outcomes = [results[clause.key] for clause in group]
        if any(_raised(result) for result in outcomes):
            parts.append(_failure(rule, None))
            continue
        if "bound" in rule.params:
            is_kept, says = _bounded(rule, group[0], outcomes)
            for result in outcomes:
                result.success = is_kept
                result.result["bound"] = suite.worded(rule.params["bound"], _unit(rule))
        else:
            is_kept, says = bool(outcomes[0].success), group[0].says
        parts += [] if is_kept else [_overall(rule, says)]
    return parts


def _bounded(rule: Rule, clause: Clause, outcomes: list[Any]) -> tuple[bool, str]:
    bound = rule.params["bound"]
    limit = suite.worded(bound, _unit(rule))
    if rule.kind == "rowCount":
        number = outcomes[0].result["observed_value"]
        return suite.within(number, bound), f"the dataset has {number:,} rows; it {limit}"
    count = sum(_count(result) for result in outcomes)
    total = outcomes[0].result.get("element_count") or 0
    share = 100 * count / total if total else 0.0
    says = f"{clause.says} in {count:,} of {total:,} rows ({share:.2f} percent); it {limit}"
    return suite.within(share if _unit(rule) == "percent" else count, bound), says


def _sql_findings(
    contract: Contract, connection: Any, seconds: float
) -> tuple[list[Findings], list[dict[str, Any]]]:
    import duckdb

    parts: list[Findings] = []
    results: list[dict[str, Any]] = []
    for rule in contract.rules:
        if rule.kind != "sql":
            continue
        limit, query = suite.worded(rule.params["bound"]), rule.params["query"]
        try:
            with _backstop(seconds + GRACE):
                number = one_pass.number_of(connection, query, seconds)
            is_kept = suite.within(number, rule.params["bound"])
        except (duckdb.Error, ValueError, TimeoutError) as error:
            parts.append(_failure(rule, error))
            results.append({"rule": rule.id, "bound": limit, "success": None})
            continue
        results.append({"rule": rule.id, "bound": limit, "success": is_kept})
        if not is_kept:
            # a minimum or maximum may be one person's cell; a count or a mean is not
            may_show = _TOTALS.match(query) and not _mentions(query, contract.protected)
            shown = f"is {number:g}" if may_show else "is not shown"
            parts.append(_overall(rule, f"the result of the SQL rule {shown}; it {limit}"))
    return parts, results


@contextlib.contextmanager
def _backstop(seconds: float) -> Iterator[None]:
    """End this process if a query ignores its interrupt: the rules then count as not run.

    DuckDB checks for interrupts between chunks of rows, and never while it plans a query.
    """
    timer = threading.Timer(seconds, os._exit, (LATE,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _mentions(query: str, names: frozenset[str]) -> bool:
    """Return whether a query may read one of the columns; `*` reads all of them."""
    text = query.casefold().replace("count(*)", "")
    return bool(names) and ("*" in text or any(name.casefold() in text for name in names))


def _broken(clause: Clause, rows: np.ndarray) -> Findings:
    return findings.make(
        rows,
        check=CHECK,
        rule=clause.rule.id,
        column=_column(clause),
        severity=clause.rule.severity,
        evidence=f"{clause.says} ({clause.rule.where})" if clause.rule.where else clause.says,
        suggestion=_ADVICE,
    )


def _column(clause: Clause) -> str | None:
    if "columns" in clause.rule.params:
        return ", ".join(clause.rule.params["columns"])
    return clause.rule.column


def _overall(rule: Rule, says: str) -> Findings:
    return findings.make(
        None,
        check=CHECK,
        rule=rule.id,
        column=rule.column,
        severity=rule.severity,
        evidence=f"{says} ({rule.where})" if rule.where else says,
        suggestion="repair the data, or correct the rule",
    )


def _failure(rule: Rule, error: Exception | None) -> Findings:
    # a database's message may quote a cell, so only Assay's own exceptions are quoted
    own = isinstance(error, ValueError | TimeoutError | NotImplementedError)
    why = f": {error}" if own else f" ({type(error).__name__})" if error else ""
    return findings.make(
        None,
        check=CHECK,
        rule=FAILED,
        column=rule.column,
        evidence=f"rule '{rule.id}' could not be evaluated{why} ({rule.where})",
        suggestion="correct the rule, or the type of its column",
    )


def _disagreement(rule: Rule, passed: int, counted: int) -> Findings:
    return findings.make(
        None,
        check=CHECK,
        rule=DISAGREES,
        column=rule.column,
        evidence=f"rule '{rule.id}': the pass found {passed:,} rows, the suite {counted:,}",
        suggestion="report this as a fault of Assay, with the contract",
    )


def _unit(rule: Rule) -> str:
    unit: str = rule.params.get("unit", "rows")
    return unit


def _count(result: Any) -> int:
    return int(result.result.get("unexpected_count") or 0)


def _raised(result: Any) -> bool:
    info = result.exception_info or {}
    if "raised_exception" in info:
        return bool(info["raised_exception"])
    return bool(info)
