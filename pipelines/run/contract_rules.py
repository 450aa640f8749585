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
from typing import Any, NamedTuple

import numpy as np

from checks.kit import findings
from checks.kit.contract_model import Contract, Rule
from checks.kit.findings import Findings
from checks.rules import duck_engine, ge_adapter, nested_rules, one_pass, plain_rules, suite
from checks.rules.suite import Clause
from pipelines.checking import engine
from pipelines.run import data_docs, kept_docs
from pipelines.run.known_rules import Judged, KnownRules
from pipelines.store import staged_contract
from provenance.rows.shards import read_shard, write_table
from provenance.rows.snapshot import Snapshot

CHECK = "contract"
FILE, FOLDER = "findings-contract.parquet", "expectations"
GRACE = 30.0  # seconds from the interrupt of a query until this process exits
LATE = 70  # its exit code then
FAILED, DISAGREES = "ASSAY-K001", "ASSAY-K016"
_ADVICE = "repair the row at its source, correct the rule, or release the row"
_TOTALS = re.compile(r"\s*select\s+(count|avg|sum|stddev|median|count_if)\w*\s*\(", re.IGNORECASE)


class Evaluated(NamedTuple):
    """What evaluating the rules leaves.

    Attributes:
        findings: path of the findings, check `contract`, sorted by identity.
        made: what a later run needs instead of Great Expectations; None if there is nothing new,
            or if the library is needed each time.
    """

    findings: Path
    made: KnownRules | None


def run_rules(
    contract: str | Mapping[str, str], snapshot: str, out: str, known: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Evaluate a contract's rules; runs in a child process, which may hold Great Expectations.

    Args:
        contract: see `staged_contract.loaded`.
        snapshot: folder of the source's snapshot.
        out: folder of the run.
        known: what an earlier run of the contract returned as `made`.

    Returns:
        `parsed`: the digest of the contract that the child parsed; `made`: what a later run of the
        contract needs instead of Great Expectations, None if there is nothing new.
    """
    parsed = staged_contract.loaded(contract)
    # half of the stage's own time, so that a slow SQL rule is reported by name
    seconds = min(one_pass.Budget().seconds, engine.seconds_for(parsed) / 2)
    source = Snapshot.load(Path(snapshot) / "snapshot.json")
    budget = one_pass.Budget(seconds=seconds)
    earlier = KnownRules.of_json(known) if known else None
    made = evaluate(parsed, source, Path(out), budget=budget, known=earlier).made
    return {"parsed": parsed.sha256, "made": made.as_json() if made else None}


def evaluate(
    contract: Contract,
    snapshot: Snapshot,
    out: Path,
    *,
    budget: one_pass.Budget | None = None,
    known: KnownRules | None = None,
) -> Evaluated:
    """Evaluate every rule of a contract over a snapshot.

    Args:
        contract: from the loader.
        snapshot: its shards are read; rows that were held or rejected are not judged here.
        out: an existing folder, which gets the findings and `expectations/`.
        budget: memory, threads and time of the engine.
        known: what an earlier run of the same contract made.

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
        more, made = _suite_findings(contract, connection, out / FOLDER, sql_results, known)
    parts += more + _nested_findings(contract, snapshot)
    path = out / FILE
    write_table(findings.ordered(findings.concat(parts)), path)
    return Evaluated(path, made)


def _suite_findings(
    contract: Contract,
    connection: Any,
    folder: Path,
    sql_results: list[dict[str, Any]],
    known: KnownRules | None,
) -> tuple[list[Findings], KnownRules | None]:
    """Write the documents; return the findings, and what a later run needs if that is new."""
    clauses, types = suite.clauses(contract), one_pass.column_types(connection)
    if known and (judged := known.judged(connection, clauses, types)):
        parts = _clause_findings(clauses, judged)
        results = [judged.results[clause.key] for clause in clauses]
        kept_docs.write_kept(folder, contract, known.documents, results, sql_results)
        return parts, None
    is_plain = plain_rules.are_plain(clauses)
    expectations = suite.expectations(clauses)
    judged, conditions = _judged_by_library(connection, clauses, expectations, is_plain=is_plain)
    learned = None
    if is_plain and not judged.failed and not any(map(_raised, judged.results.values())):
        learned = plain_rules.learned(clauses, conditions, expectations, judged.results)
    parts = _clause_findings(clauses, judged)
    made = data_docs.made(
        contract, expectations, judged.results, sql_results, is_plain=learned is not None
    )
    kept_docs.write(folder, made.documents)
    if made.why:
        parts.append(
            findings.make(None, check=CHECK, rule=FAILED, severity="warning", evidence=made.why)
        )
    if not learned or not made.may_stay:
        return parts, None
    return parts, KnownRules(types, learned, made.documents.lasting())


def _judged_by_library(
    connection: Any, clauses: tuple[Clause, ...], expectations: list[Any], *, is_plain: bool
) -> tuple[Judged, dict[int, str]]:
    """Return the clauses over the rows, and the condition of each that has one if all are plain."""
    adapter = ge_adapter.Adapter(connection)
    try:
        results = adapter.validate(expectations)
        by_row = {clause.number for clause in clauses if clause.by_row}
        more = plain_rules.have_conditions(clauses) if is_plain else []
        asked = by_row | {clause.number for clause in more}
        found = adapter.conditions(clause for clause in clauses if clause.number in asked)
        usable = {n: sql for n, sql in found.items() if isinstance(sql, str)}
        failed = {n: error for n, error in found.items() if not isinstance(error, str)}
        passed = {n: sql for n, sql in usable.items() if n in by_row}
        rows, broken = one_pass.offending_each(connection, passed)
    finally:
        adapter.close()
    return Judged(rows, failed | broken, results), usable


def _nested_findings(contract: Contract, snapshot: Snapshot) -> list[Findings]:
    """Return the findings of the rules on nested columns, which the suite does not cover."""
    names = nested_rules.columns(contract)
    shards = (read_shard(ref, names) for ref in snapshot.shards) if names else ()
    return [nested_rules.evaluate(shard, contract) for shard in shards]


def _clause_findings(clauses: tuple[Clause, ...], judged: Judged) -> list[Findings]:
    """Return the findings of all clauses, and set the success of results that have a bound."""
    return _row_findings(clauses, judged) + _overall_findings(clauses, judged.results)


def _row_findings(clauses: tuple[Clause, ...], judged: Judged) -> list[Findings]:
    parts = []
    for clause in clauses:
        if not clause.by_row:
            continue
        result = judged.results[clause.key]
        if clause.number in judged.failed:
            parts.append(_failure(clause.rule, judged.failed[clause.number]))
        elif _raised(result):
            parts.append(_failure(clause.rule, None))
        else:
            found = judged.rows[clause.number]
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
