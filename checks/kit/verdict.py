"""From findings to fates and a verdict: the policy of the contract, in one place.

A finding of severity `error` sends its row to quarantine; `warning` and `info` leave it clean.
The verdict is `fail` if an `error` concerns the whole dataset, if too many rows are quarantined or
rejected, if something did not run, or, if the policy says so, on warnings. Each cause is a line of
`reasons`, causes before their consequences: rows that could not be read or cast never reached the
rules and checks, which may then find too few rows or classes among the others.
"""

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit.contract_model import Policy
from checks.kit.findings import SEVERITIES, Findings
from checks.kit.wording import count
from provenance.base.codes import CODES
from provenance.base.errors import Notice

REJECTED_SHARE = 0.01  # of the source, unless the contract names another limit
FEW_REJECTED = 3  # rows that are no reason to fail, unless the contract names a limit
LATE = "ASSAY-K002"
UNRUN = ("ASSAY-K001", "ASSAY-K002", "ASSAY-K003", "ASSAY-K016")
LOST = ("ASSAY-K012", "ASSAY-K011", "ASSAY-K025")  # reasons that say that rows are missing
UNREAD = "ingest"  # the check that cast findings carry
FIRST = pa.array([UNREAD, "contract"])  # of a row's reasons: what other findings may follow from


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """`passed`, with the reasons if not; `checked` is False if something did not run."""

    passed: bool
    checked: bool
    reasons: tuple[Notice, ...]

    @property
    def word(self) -> str:
        """Return `pass` or `fail`."""
        return "pass" if self.passed else "fail"

    @property
    def exit_code(self) -> int:
        """Return 0 for a pass, 1 for data that failed, 3 if something could not be checked."""
        if self.passed:
            return 0
        return 1 if self.checked else 3


def quarantined_rows(found: Findings) -> np.ndarray:
    """Return the rows with a finding of severity `error`: int64, sorted, unique."""
    errors = found.filter(pc.equal(found["severity"], "error"))["row"].drop_null()
    rows: np.ndarray = np.unique(errors.to_numpy())
    return rows


def decide(
    found: Findings, policy: Policy, *, source: int, quarantine: int, rejected: int
) -> Verdict:
    """Return the verdict on all findings and the counts of rows.

    Args:
        found: findings of rules, checks and the scan of the clean dataset.
        policy: thresholds.
        source: rows in the source.
        quarantine: how many of them are in quarantine.
        rejected: how many could not be read; a reviewer's rejections do not count.
    """
    overall = found.filter(pc.and_(pc.is_null(found["row"]), pc.equal(found["severity"], "error")))
    reasons = [_reason(item) for item in overall.to_pylist()]
    most = _most(found)
    limit = policy.max_quarantine_share
    reasons += _share("ASSAY-K011", "quarantined", quarantine, source, limit, _why(most))
    most_rejected = policy.max_rejected_share
    if most_rejected is not None or rejected > FEW_REJECTED:
        limit = REJECTED_SHARE if most_rejected is None else most_rejected
        reasons += _share("ASSAY-K012", "rejected", rejected, source, limit)
    warnings = pc.sum(pc.equal(found["severity"], "warning")).as_py() or 0
    if policy.fail_on == "warning" and warnings:
        reasons.append(
            _notice("ASSAY-K015", f"{count(warnings, 'warning')}; the policy allows none")
        )
    checked = not any(reason.code in UNRUN for reason in reasons)
    # what did not run comes first: until it is repaired, nothing else can be trusted
    is_unread = any(reason.code == "ASSAY-K012" for reason in reasons)
    causes = LOST if is_unread or (most and most["check"] == UNREAD) else ()
    place = {code: number - len(causes) for number, code in enumerate(causes)}
    reasons.sort(key=lambda reason: (reason.code not in UNRUN, place.get(reason.code, 0)))
    return Verdict(not reasons, checked, tuple(reasons))


def _most(found: Findings) -> dict[str, Any] | None:
    """Return the check, rule, column and evidence that hold the most rows, with their `rows`.

    Evidence varies from row to row: the most frequent one of the rule stands for all.
    """
    errors = found.filter(pc.and_(pc.equal(found["severity"], "error"), pc.is_valid(found["row"])))
    if not len(errors):
        return None
    top = _largest(errors, ["check", "rule", "column"])
    same = [pc.equal(errors[name], top[name]) for name in ("check", "rule")]
    mine = errors.filter(pc.and_(*same))
    if top["column"] is not None:
        mine = mine.filter(pc.equal(mine["column"], top["column"]))
    return top | {"evidence": _largest(mine, ["evidence"])["evidence"]}


def _largest(found: Findings, by: list[str]) -> dict[str, Any]:
    """Return the group of the most rows, the first by name among equals."""
    named = found.group_by(by).aggregate([("row", "count_distinct")])
    named = named.rename_columns([*by, "rows"])
    order = [("rows", "descending"), *((name, "ascending") for name in by)]
    top: dict[str, Any] = named.take(pc.sort_indices(named, sort_keys=order)[:1]).to_pylist()[0]
    return top


def _why(most: dict[str, Any] | None) -> tuple[str, str]:
    """Return what holds the most rows, as part of a sentence, and what to do about it."""
    if most is None:
        return "", ""
    rows = f", {most['rows']:,} of them"
    if most["check"] == UNREAD:
        fix = CODES[most["rule"].removeprefix("ASSAY-")][1]
        return f"{rows} because {most['evidence']} ({most['rule']})", fix
    where = f" in '{most['column']}'" if most["column"] else ""
    return f"{rows} by {most['rule']}{where}", ""


def _share(
    code: str, fate: str, rows: int, source: int, limit: float, why: tuple[str, str] = ("", "")
) -> list[Notice]:
    if not source or rows <= limit * source:
        return []
    share = rows / source
    what = f"{rows:,} of {source:,} rows are {fate} ({share:.1%}, limit {limit:.1%}){why[0]}"
    return [_notice(code, what, why[1])]


def _notice(code: str, what: str, fix: str = "", where: str = "") -> Notice:
    """Return a reason with a fix: the finding's suggestion, else that of the code's page."""
    fix = fix or CODES[code.removeprefix("ASSAY-")][1]
    return Notice(code, f"{what.rstrip('.')}. To do: {fix}", where)


def _reason(item: dict[str, object]) -> Notice:
    rule, column = str(item["rule"]), item["column"]
    code = rule if rule.startswith("ASSAY-") else "ASSAY-K014"
    named = "" if rule == code else f"{rule}: "
    where = f"{item['check']}, column {column}" if column else str(item["check"])
    return _notice(code, f"{named}{item['evidence']}", str(item["suggestion"] or ""), where)


def reasons_of(found: Findings) -> pa.ListArray:
    """Return the list<struct> column `_reasons` of the rows with findings, one list per row.

    The lists are in ascending order of the rows, each in that of `causes_first`.
    """
    table = causes_first(found)
    names = ["check", "rule", "column", "severity", "score", "p_value"]
    parts = [*(table[name].combine_chunks() for name in names)]
    parts += [table["evidence"].combine_chunks(), table["suggestion"].combine_chunks()]
    struct = pa.StructArray.from_arrays(parts, names=[*names, "message", "suggestion"])
    rows = table["row"].to_numpy()
    starts = np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]]) if len(rows) else np.empty(0, int)
    offsets = pa.array(np.r_[starts, len(rows)], pa.int32())
    return pa.ListArray.from_arrays(offsets, struct)


def causes_first(found: Findings) -> Findings:
    """Return findings in the order of their rows; of each row errors first, among them causes.

    A cell that could not be cast comes before the contract's rules, these before other faults of a
    value (codes), and last comes what checks conclude from many rows.
    """
    is_code = pc.starts_with(found["rule"], "ASSAY-")
    others = pc.if_else(is_code, len(FIRST), len(FIRST) + 1).cast(pa.int32())
    keyed = found.append_column("_rank", pc.index_in(found["severity"], pa.array(SEVERITIES)))
    cause = pc.coalesce(pc.index_in(found["check"], FIRST), others)
    keyed = keyed.append_column("_cause", cause)
    keys = [(name, "ascending") for name in ("row", "_rank", "_cause", "check", "rule", "column")]
    return found.take(pc.sort_indices(keyed, sort_keys=keys)).combine_chunks()
