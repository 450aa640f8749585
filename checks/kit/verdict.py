"""From findings to fates and a verdict: the default policy of the contract, in one place.

A finding of severity `error` sends its row to quarantine; `warning` and `info` leave it clean.
The verdict is `fail` when a finding of severity `error` concerns the whole dataset, when too many
rows are quarantined or rejected, when something did not run, or - if the policy asks - on
warnings. Every ground is a line of `reasons`.
"""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit.contract_model import Policy
from checks.kit.findings import Findings
from provenance.base.codes import CODES
from provenance.base.errors import Notice

REJECTED_FLOOR = 1_000  # the limit on rejected rows counts on sources of so many rows and more
LATE = "ASSAY-K002"
UNRUN = ("ASSAY-K001", "ASSAY-K002", "ASSAY-K003", "ASSAY-K016")


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """`passed`, with the grounds if not; `checked` is False when something did not run."""

    passed: bool
    checked: bool
    reasons: tuple[Notice, ...]

    @property
    def word(self) -> str:
        """Return `pass` or `fail`."""
        return "pass" if self.passed else "fail"

    @property
    def exit_code(self) -> int:
        """Return 0, 1 for data that failed, 3 for what could not be checked."""
        if self.passed:
            return 0
        return 1 if self.checked else 3


def quarantined_rows(found: Findings) -> np.ndarray:
    """Return the rows that a finding of severity `error` names: int64, sorted, unique."""
    errors = found.filter(pc.equal(found["severity"], "error"))["row"].drop_null()
    rows: np.ndarray = np.unique(errors.to_numpy())
    return rows


def decide(
    found: Findings, policy: Policy, *, source: int, quarantine: int, rejected: int
) -> Verdict:
    """Return the verdict over all findings and the counts of rows.

    Args:
        found: findings of rules, checks and the scan of the clean dataset.
        policy: thresholds.
        source: rows of the source.
        quarantine: rows of it in quarantine.
        rejected: rows of it that could not be read; a reviewer's rejects do not count.
    """
    overall = found.filter(pc.and_(pc.is_null(found["row"]), pc.equal(found["severity"], "error")))
    reasons = [_reason(item) for item in overall.to_pylist()]
    most = _most(found)
    limit = policy.max_quarantine_share
    reasons += _share("ASSAY-K011", f"quarantined{most}", quarantine, source, limit)
    if source >= REJECTED_FLOOR:
        reasons += _share("ASSAY-K012", "rejected", rejected, source, policy.max_rejected_share)
    warnings = pc.sum(pc.equal(found["severity"], "warning")).as_py() or 0
    if policy.fail_on == "warning" and warnings:
        reasons.append(_told("ASSAY-K015", f"{warnings:,} warnings, and the policy allows none"))
    checked = not any(reason.code in UNRUN for reason in reasons)
    # what did not run comes first: nothing else can be trusted before it is mended
    reasons.sort(key=lambda reason: reason.code not in UNRUN)
    return Verdict(not reasons, checked, tuple(reasons))


def _most(found: Findings) -> str:
    """Return which rule holds the most rows, and in which column."""
    errors = found.filter(pc.and_(pc.equal(found["severity"], "error"), pc.is_valid(found["row"])))
    if not len(errors):
        return ""
    named = errors.group_by(["rule", "column"]).aggregate([("row", "count_distinct")])
    order = [("row_count_distinct", "descending"), ("rule", "ascending"), ("column", "ascending")]
    top = named.take(pc.sort_indices(named, sort_keys=order)[:1]).to_pylist()[0]
    where = f" in '{top['column']}'" if top["column"] else ""
    return f", {top['row_count_distinct']:,} of them by {top['rule']}{where}"


def _share(code: str, fate: str, rows: int, source: int, limit: float) -> list[Notice]:
    if not source or rows <= limit * source:
        return []
    share = rows / source
    what = f"{rows:,} of {source:,} rows are {fate} ({share:.1%}, limit {limit:.1%})"
    return [_told(code, what)]


def _told(code: str, what: str, advice: str = "", where: str = "") -> Notice:
    """Return a reason that says what to do: as the finding suggests, else as the code's page."""
    told = advice or CODES[code.removeprefix("ASSAY-")][1]
    return Notice(code, f"{what.rstrip('.')}. To do: {told}", where)


def _reason(item: dict[str, object]) -> Notice:
    rule, column = str(item["rule"]), item["column"]
    code = rule if rule.startswith("ASSAY-") else "ASSAY-K014"
    named = "" if rule == code else f"{rule}: "
    where = f"{item['check']}, column {column}" if column else str(item["check"])
    return _told(code, f"{named}{item['evidence']}", str(item["suggestion"] or ""), where)


def reasons_of(found: Findings) -> pa.ListArray:
    """Return the list<struct> column `_reasons` for findings sorted by row, one list a row.

    Order of the lists: the distinct rows of `found`, ascending; inside, errors come first.
    """
    rank = pc.index_in(found["severity"], pa.array(["error", "warning", "info"]))
    keyed = found.append_column("rank", rank)
    keys = [(name, "ascending") for name in ("row", "rank", "check", "rule", "column")]
    table = keyed.take(pc.sort_indices(keyed, sort_keys=keys)).combine_chunks()
    names = ["check", "rule", "column", "severity", "score", "p_value"]
    parts = [*(table[name].combine_chunks() for name in names)]
    parts += [table["evidence"].combine_chunks(), table["suggestion"].combine_chunks()]
    struct = pa.StructArray.from_arrays(parts, names=[*names, "message", "suggestion"])
    rows = table["row"].to_numpy()
    starts = np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]]) if len(rows) else np.empty(0, int)
    offsets = pa.array(np.r_[starts, len(rows)], pa.int32())
    return pa.ListArray.from_arrays(offsets, struct)
