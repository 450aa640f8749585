"""`assay review`: the queue of rows that await a decision, and the decisions on them.

A file of decisions is recorded completely or not at all, as one entry of the ledger.
"""

import argparse
import csv
import io
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from checks.kit import verdict
from checks.kit.wording import count
from pipelines import config
from pipelines.clock import now
from pipelines.store import reference_anchor, row_history, trust
from pipelines.store.commit import Committer
from pipelines.store.store import Store
from provenance.base import no_follow
from provenance.base.errors import AssayError, printable
from provenance.base.ordinals import MOST, ordinal
from provenance.ledger.entry import Entry
from provenance.ledger.run_reader import RunReader

DECISIONS = ("release", "reject", "relabel", "redact", "undo")
ALIASES = {"_row": "row", "action": "decision", "label": "value", "by": "reviewer"}
KNOWN = {field.name for field in row_history.DECISION_SCHEMA}
MAX_BYTES = 64 << 20


def main(arguments: argparse.Namespace) -> int:
    """List the queue, record a file of decisions, or anchor the reference for drift."""
    store = Store(config.store_folder(arguments.store))
    store.require()
    entry = store.find(arguments.run)
    trust.require_whole(store)
    if arguments.reason is not None and not arguments.anchor:
        fix = "give the reasons for decisions in the file, in the column reason"
        raise AssayError("C012", "--reason can only be combined with --anchor", fix=fix)
    if arguments.anchor and (arguments.apply or arguments.list):
        what = "--anchor cannot be combined with --list or --apply"
        raise AssayError("C012", what, fix="call `assay review` once for each")
    if arguments.anchor:
        return reference_anchor.decide(arguments, store, entry)
    if arguments.apply:
        return _apply(store, entry, Path(arguments.apply), as_json=arguments.json)
    if not 0 <= arguments.limit <= MOST:
        raise AssayError(
            "C012",
            "--limit must be a number of rows",
            fix=f"give a number from 0 (all rows) to {MOST}",
        )
    if not arguments.list:
        what, fix = "give --list, --apply CSV or --anchor", "see `assay review --help`"
        raise AssayError("C012", what, fix=fix)
    facts = queue(store, entry, arguments.limit)
    text = _text(facts, config.store_words(store.folder))
    sys.stdout.write(json.dumps(facts) + "\n" if arguments.json else text)
    return 0


def queue(store: Store, entry: Entry, limit: int) -> dict[str, Any]:
    """Return the rows that await a decision: quarantined ones first, then warnings, worst first."""
    base = row_history.base_of(entry)
    settled = row_history.standing(store, base)
    found = _rowed(store.reader(store.ledger.read(base)))
    rank = pc.index_in(found["severity"], pa.array(["error", "warning"]))
    table = found.append_column("rank", rank).filter(pc.is_valid(rank))
    table = table.filter(pc.invert(pc.is_in(table["row"], pa.array(list(settled), pa.int64()))))
    by_row = table.group_by("row").aggregate([("rank", "min"), ("score", "max")])
    keys = [("rank_min", "ascending"), ("score_max", "descending"), ("row", "ascending")]
    ordered = by_row.take(pc.sort_indices(by_row, sort_keys=keys))
    shown = ordered.slice(0, limit or len(ordered))
    detail = table.filter(pc.is_in(table["row"], shown["row"].combine_chunks()))
    reasons: dict[int, list[dict[str, Any]]] = {}
    for item in verdict.causes_first(detail).to_pylist():
        reasons.setdefault(item.pop("row"), []).append(item)
    rows = [
        {"row": item["row"], "fate": "clean" if item["rank_min"] else "quarantine",
         "score": item["score_max"], "reasons": reasons[item["row"]]}
        for item in shown.to_pylist()
    ]  # fmt: skip
    return {"schema": "assay.review/1", "run": entry.seq, "base": base, "waiting": len(ordered),
            "quarantined": pc.sum(pc.equal(ordered["rank_min"], 0)).as_py() or 0,
            "decided": len(settled), "rows": rows}  # fmt: skip


def _apply(store: Store, entry: Entry, path: Path, *, as_json: bool) -> int:
    base = row_history.base_of(entry)
    decisions = list(_read(path))
    _validate(store, store.ledger.read(base), decisions)
    sink = io.BytesIO()
    table = pa.Table.from_pylist(decisions, row_history.DECISION_SCHEMA)
    pq.write_table(table, sink, write_page_checksum=True)
    counts = dict(sorted(Counter(d["decision"] for d in decisions).items()))
    time = now()
    facts = {"schema": "assay.entry/1", "kind": "review", "time": time, "base": base,
             "dataset": entry.facts["dataset"], "decisions": counts}  # fmt: skip
    made = Committer.of(store, time).commit_review(facts, sink.getvalue())
    report = {"schema": "assay.review/1", "run": entry.seq, "base": base, "entry": made.seq,
              "decisions": counts}  # fmt: skip
    recorded = ", ".join(f"{number} {name}" for name, number in counts.items())
    release = printable(f"`assay release {base}{config.store_words(store.folder)}`")
    text = f"recorded {recorded} on run {base} as entry {made.seq}\nnext: {release}\n"
    sys.stdout.write(json.dumps(report) + "\n" if as_json else text)
    return 0


def _read(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the decisions of a CSV file; C014 with the line of anything that is not one."""
    reader = csv.reader(io.StringIO(_content(path), newline=""), strict=True)
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        header = [ALIASES.get(name, name) for name in names]
        _check_header(header, path)
        for cells in reader:
            if cells:
                yield _decision(header, cells, f"{path}:{reader.line_num}")
    except csv.Error as error:
        what, where = f"not valid CSV: {error}", f"{path}:{reader.line_num}"
        raise AssayError("C014", what, where=where) from error


def _content(path: Path) -> str:
    """Return the text of a file of decisions; C014 if it cannot be read."""
    fix = "give a regular CSV file that you may read, UTF-8, at most 64 MiB"
    try:
        with os.fdopen(no_follow.open_given(path), "rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) <= MAX_BYTES:
            return content.decode("utf-8-sig")
        why = "is larger than 64 MiB"
    except no_follow.IrregularError as error:
        why = f"is {error.kind}"
    except OSError as error:
        why = f"cannot be read ({os.strerror(error.errno or 0)})"
    except UnicodeDecodeError:
        why = "is not UTF-8"
    raise AssayError("C014", f"the file of decisions {why}", where=str(path), fix=fix)


def _check_header(header: list[str], path: Path) -> None:
    fix = "name the columns row, decision and, optionally, value, reason, reviewer"
    if missing := {"row", "decision"} - set(header):
        what = f"the header lacks the column {' and '.join(sorted(missing))}"
        raise AssayError("C014", what, where=f"{path}:1", fix=fix)
    if len(set(header)) != len(header) or set(header) - KNOWN:
        what = "the header repeats a column or names an unknown one"
        raise AssayError("C014", what, where=f"{path}:1", fix=fix)


def _decision(header: list[str], cells: list[str], where: str) -> dict[str, Any]:
    if len(cells) != len(header):
        what = f"the line has {len(cells)} fields, the header has {len(header)}"
        raise AssayError("C014", what, where=where, fix="give every line a field for each column")
    item: dict[str, Any] = {
        name: cell.strip() or None for name, cell in zip(header, cells, strict=True)
    }
    row, decision = ordinal(item["row"] or ""), (item["decision"] or "").lower()
    if row is None:
        fix = "give a row's number as `assay review --list` shows it"
        raise AssayError("C014", "the row must be a whole number from 0", where=where, fix=fix)
    if decision not in DECISIONS:
        fix = f"write one of {', '.join(DECISIONS)}"
        raise AssayError("C014", "unknown decision", where=where, fix=fix)
    if decision == "relabel" and not item.get("value"):
        what = "relabel needs a value: the new label"
        raise AssayError("C014", what, where=where, fix="give it in the column value")
    return {**item, "row": row, "decision": decision, "where": where,
            "reviewer": item.get("reviewer") or config.reviewer()}  # fmt: skip


def _validate(store: Store, base: Entry, decisions: list[dict[str, Any]]) -> None:
    """Refuse decisions that could never be applied, before any is recorded."""
    if not decisions:
        fix = "add a line for each row below the header"
        raise AssayError("C014", "the file contains no decisions", fix=fix)
    files = store.reader(base)
    found = _rowed(files)
    uncast = set(found.filter(pc.equal(found["check"], "ingest"))["row"].to_pylist())
    rejected = {row for table in files.tables("rejected", ["_row"])
                for row in table["_row"].to_pylist()}  # fmt: skip
    label, rows = _label(files), base.facts["rows"]["source"]
    _refuse_twice(decisions)
    for item in decisions:
        row, decision = item["row"], item["decision"]
        if row >= rows:
            what, fix = f"run {base.seq} has no row {row}", f"give a row from 0 to {rows - 1}"
            raise AssayError("C014", what, where=item["where"], fix=fix)
        if decision in ("reject", "undo"):
            continue
        if row in rejected or row in uncast:
            what = f"row {row} cannot be read under the contract, so it can only be rejected"
            fix = "reject it, or repair the source and run again"
            raise AssayError("C014", what, where=item["where"], fix=fix)
        if decision == "relabel":
            _check_label(label, item)


def _refuse_twice(decisions: list[dict[str, Any]]) -> None:
    """Refuse a file with two decisions on a row; C014 names both lines."""
    seen: dict[int, str] = {}
    for item in decisions:
        row = item["row"]
        if row in seen and item["decision"] != "undo":
            what, where = f"two decisions on row {row}", f"{seen[row]} and {item['where']}"
            raise AssayError("C014", what, where=where, fix="keep one of them")
        seen[row] = item["where"]


def _label(files: RunReader) -> Any:
    contract = row_history.contract_of(files)
    return contract.column(contract.label) if contract.label else None


def _check_label(label: Any, item: Mapping[str, Any]) -> None:
    if label is None:
        what = "the contract has no label column to change"
        raise AssayError("C014", what, where=item["where"])
    from provenance.rows import cast

    _, codes = cast.cast(pa.array([item["value"]]), label.spec)
    valid = label.valid_values
    if codes[0].is_valid or (valid and item["value"] not in {str(value) for value in valid}):
        fix = f"write one of {', '.join(map(str, valid))}" if valid else ""
        what = "the value is not a class of the label"
        raise AssayError("C014", what, where=item["where"], fix=fix)


def _rowed(files: RunReader) -> pa.Table:
    table = pa.concat_tables(files.tables("findings"))
    return table.filter(pc.is_valid(table["row"]))


def _text(facts: Mapping[str, Any], store: str) -> str:
    waiting, more = facts["waiting"], facts["waiting"] - len(facts["rows"])
    quarantined, decided = f"{facts['quarantined']:,} quarantined", f"{facts['decided']:,} decided"
    lines = [f"run {facts['run']}: {count(waiting, 'row')} to decide ({quarantined}), {decided}"]
    for item in facts["rows"]:
        lines.append(f"row {item['row']}  {item['fate']}")
        for reason in item["reasons"]:
            column = f" [{reason['column']}]" if reason["column"] else ""
            advice = f" -> {reason['suggestion']}" if reason["suggestion"] else ""
            lines.append(
                f"  {reason['severity']:<8} {reason['rule']}{column}: {reason['evidence']}{advice}"
            )
    if more:
        lines.append(f"{count(more, 'more row')}: --limit 0 lists them all")
    apply = f"`assay review {facts['run']} --apply CSV{store}`"
    lines.append(f"next: write a CSV with the columns row,decision, then {apply}")
    return "".join(f"{printable(line)}\n" for line in lines)
