"""Classes, sources and groups that would lose most of their rows to the quarantine.

A check that is wrong about a whole class empties it, and the share of quarantined rows stays small.
So a value that would lose more than half of its rows fails the run until a person has decided about
them: rows with a decision are not lost.
Cost: one pass over the counted columns, only if any row is held.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import findings, numeric_label, registry
from checks.kit.contract_model import Column, Contract
from checks.kit.wording import count, listed
from provenance.base.codes import CODES
from provenance.rows import cast
from provenance.rows.shards import ROW, read_shard, read_table
from provenance.rows.snapshot import Snapshot

CHECK = "decide"  # the stage that reports them
RULE = "ASSAY-K025"
COUNTED = {"label": "class", "source": "source", "group": "group"}  # role: what its values are
MOST = 0.5  # share of its rows that a value may lose
TINY = 3  # rows; all of so few may well be faulty, and no model learns a class from them
NEW = 0.01  # of the rows; a value that the contract does not list may be a new class, or a slip
NAMED = 5  # values that the evidence names
# what calls a cell misspelt: its row does not belong to the value that it shows
MISSPELT = pa.array(["ASSAY-V005", "ASSAY-V006", "ASSAY-V007", "ASSAY-V008"])
ADVICE = (
    "list these rows (`assay review RUN --list`), release the legitimate ones and reject the "
    "others (`assay review RUN --apply FILE`), then run `assay release RUN`"
)


def find(
    snapshot: Snapshot, contract: Contract, found: findings.Findings, lost: np.ndarray
) -> findings.Findings:
    """Return the findings on each column whose values lose more than half of their rows.

    An error names them. A warning counts the classes of up to three rows, which are not much to
    learn from, and those that the contract does not list, which it has decided about.

    Args:
        snapshot: of the source.
        contract: says which columns hold classes, sources and groups, and which are private.
        found: all findings of rows.
        lost: int64 ordinals of the quarantined rows about which nobody has decided.
    """
    if not len(lost):
        return findings.empty()
    parts = []
    for column in contract.columns:
        kind = next((kind for role, kind in COUNTED.items() if role in column.roles), None)
        if kind is not None:
            parts += list(_of_column(snapshot, column, kind, found, lost))
    return findings.concat(parts)


def without(found: findings.Findings) -> findings.Findings:
    """Return the findings without those of an earlier decision on the same rows."""
    return found.filter(pc.not_equal(found["check"], CHECK))


def _of_column(
    snapshot: Snapshot, column: Column, kind: str, found: findings.Findings, lost: np.ndarray
) -> Iterator[findings.Findings]:
    rows = _valued(snapshot, column, found)
    rows = rows.append_column("lost", pa.array(np.isin(rows["row"].to_numpy(), lost)))
    sums = rows.group_by("value").aggregate([("lost", "sum"), ("lost", "count")])
    sums = sums.rename_columns(["value", "lost", "rows"])
    if kind == "class" and _is_quantity(column, len(sums)):
        return
    sums = sums.filter(pc.greater(sums["lost"], pc.multiply(sums["rows"], MOST)))
    is_tiny = pc.less_equal(sums["rows"], TINY)
    is_listed = _is_listed(column, sums["value"])
    major = sums.filter(pc.and_(is_listed, pc.invert(is_tiny)))
    is_new = pc.and_(pc.invert(is_listed), pc.greater(sums["rows"], NEW * len(rows)))
    minor = sums.filter(pc.or_(pc.and_(is_listed, is_tiny), is_new))
    if len(major):
        gone = pc.and_(rows["lost"], pc.is_in(rows["value"], major["value"].combine_chunks()))
        rule = _main_rule(found, rows["row"].filter(gone))
        its = "its" if len(major) == 1 else "their"
        what = f"{_named(major, column, kind)} would lose more than half of {its} rows"
        yield _finding(column, "error", f"{what}, most of them by {rule}", rule)
    if len(minor) and kind == "class":
        what = f"{count(len(minor), 'class')} of up to {TINY} rows or not listed by the contract"
        yield _finding(column, "warning", f"{what} would lose more than half of the rows")


def _valued(snapshot: Snapshot, column: Column, found: findings.Findings) -> pa.Table:
    """Return the rows that have a value in a column, with this value as text: value, row."""
    is_wrong = pc.and_(pc.equal(found["column"], column.name), pc.is_in(found["rule"], MISSPELT))
    wrong = found.filter(is_wrong)["row"].drop_null().combine_chunks()
    parts = []
    for ref in snapshot.shards:
        shard = read_shard(ref, [column.name])
        parts.append((shard.table[column.name].combine_chunks(), shard.row_array()))
    if snapshot.held:
        held = read_table(snapshot.held, [column.name, ROW])
        cells = held[column.name].combine_chunks()
        typed = cast.cast(cells, column.spec)[0] if pa.types.is_string(cells.type) else cells
        parts.append((typed, held[ROW].combine_chunks()))
    tables = [pa.table({"value": cells.cast(pa.string()), "row": at}) for cells, at in parts]
    rows = pa.concat_tables(tables)
    return rows.filter(pc.and_(pc.is_valid(rows["value"]), pc.invert(pc.is_in(rows["row"], wrong))))


def _is_quantity(column: Column, values: int) -> bool:
    logical = column.spec.logical
    return logical == "number" or (logical == "integer" and values > numeric_label.MOST_CLASSES)


def _is_listed(column: Column, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return which values the contract lists; all of them if it has no list."""
    if column.valid_values is None:
        return pc.is_valid(values)
    declared = pa.array([_text(value) for value in column.valid_values], pa.string())
    return pc.is_in(values, declared)


def _text(value: object) -> str:
    """Return a declared value as a column of its type prints it."""
    return str(pa.scalar(value).cast(pa.string()).as_py())


def _named(sums: pa.Table, column: Column, kind: str) -> str:
    """Return which values lose their rows; only how many if they may be private.

    Sources and groups may be persons and are never named.
    """
    values = sums["value"].combine_chunks()
    may_name = kind == "class" and not column.is_protected
    if not may_name or registry.is_private(column.name) or registry.is_private(column.name, values):
        gone, rows = (int(pc.sum(sums[name]).as_py()) for name in ("lost", "rows"))
        return f"{count(len(sums), kind)} ({gone:,} of {count(rows, 'row')})"
    order = [("lost", "descending"), ("value", "ascending")]
    largest = sums.take(pc.sort_indices(sums, sort_keys=order)[:NAMED]).to_pylist()
    names = [
        f"{one['value']!r} ({one['lost']:,} of {count(one['rows'], 'row')})" for one in largest
    ]
    more = [f"{len(sums) - NAMED:,} more"] if len(sums) > NAMED else []
    return f"{count(len(sums), kind)}, {listed([*names, *more])},"


def _main_rule(found: findings.Findings, rows: pa.ChunkedArray) -> str:
    """Return the rule that holds the most of these rows."""
    is_error = pc.equal(found["severity"], "error")
    errors = found.filter(pc.and_(is_error, pc.is_in(found["row"], rows.combine_chunks())))
    sums = errors.group_by("rule").aggregate([("row", "count_distinct")])
    order = [("row_count_distinct", "descending"), ("rule", "ascending")]
    return str(sums["rule"][pc.sort_indices(sums, sort_keys=order)[0].as_py()])


def _finding(
    column: Column, severity: findings.Severity, evidence: str, rule: str = ""
) -> findings.Findings:
    """Return the finding; rows that could not be read or cast cannot be released, only repaired."""
    code = rule.removeprefix("ASSAY-")
    return findings.make(
        None,
        check=CHECK,
        rule=RULE,
        column=column.name,
        severity=severity,
        evidence=evidence,
        suggestion=CODES[code][1] if code.startswith("I") and code in CODES else ADVICE,
    )
