"""`assay review`: the queue of rows that wait for a person, and the decisions on them.

A file of decisions is applied whole or not at all; what is applied is one entry of the ledger.
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
    """List the queue, or apply a file of decisions."""
    store = Store(config.store_folder(arguments.store))
    store.require()
    entry = store.find(arguments.run)
    trust.require_whole(store)
    if arguments.reason is not None and not arguments.anchor:
        raise AssayError("C012", "--reason is of --anchor", fix="a file has a column for reasons")
    if arguments.anchor and (arguments.apply or arguments.list):
        raise AssayError("C012", "--anchor goes alone", fix="list or apply by a call of its own")
    if arguments.anchor:
        return reference_anchor.decide(arguments, store, entry)
    if arguments.apply:
        return _apply(store, entry, Path(arguments.apply), as_json=arguments.json)
    if not 0 <= arguments.limit <= MOST:
        raise AssayError("C012", "--limit is not a number of rows", fix="0 lists all rows")
    if not arguments.list:
        raise AssayError(
            "C012", "say --list, --apply FILE or --anchor", fix="see `assay review --help`"
        )
    facts = queue(store, entry, arguments.limit)
    text = _text(facts, config.store_words(store.folder))
    sys.stdout.write(json.dumps(facts) + "\n" if arguments.json else text)
    return 0


def queue(store: Store, entry: Entry, limit: int) -> dict[str, Any]:
    """Return what waits for a person: quarantined rows first, then warnings, worst first."""
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
    for item in detail.to_pylist():
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
    columns = [[d.get(f.name) for d in decisions] for f in row_history.DECISION_SCHEMA]
    arrays = [
        pa.array(c, f.type) for c, f in zip(columns, row_history.DECISION_SCHEMA, strict=True)
    ]
    sink = io.BytesIO()
    pq.write_table(pa.table(arrays, row_history.DECISION_SCHEMA), sink, write_page_checksum=True)
    counts = dict(sorted(Counter(d["decision"] for d in decisions).items()))
    time = now()
    facts = {"schema": "assay.entry/1", "kind": "review", "time": time, "base": base,
             "dataset": entry.facts["dataset"], "decisions": counts}  # fmt: skip
    made = Committer.of(store, time).commit_review(facts, sink.getvalue())
    report = {"schema": "assay.review/1", "run": entry.seq, "base": base, "entry": made.seq,
              "decisions": counts}  # fmt: skip
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    next_ = f"`assay release {base}{config.store_words(store.folder)}`"
    text = f"recorded {told} on run {base} as entry {made.seq}\nnext: {printable(next_)}\n"
    sys.stdout.write(json.dumps(report) + "\n" if as_json else text)
    return 0


def _read(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the decisions of a CSV file; C014 with the line for whatever it cannot mean."""
    try:
        with os.fdopen(no_follow.open_given(path), "rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise AssayError("C014", "the decisions are over 64 MiB", where=str(path))
        text = content.decode("utf-8-sig")
    except no_follow.IrregularError as error:
        what, fix = f"the decisions are {error.kind}", "give a regular file"
        raise AssayError("C014", what, where=str(path), fix=fix) from error
    except OSError as error:
        raise AssayError("C014", "the decisions cannot be read", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise AssayError("C014", "the decisions are not UTF-8", where=str(path)) from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [
            ALIASES.get(name.strip().lower(), name.strip().lower()) for name in next(reader, [])
        ]
        _check_header(header, path)
        for cells in reader:
            if cells:
                yield _decision(header, cells, f"{path}:{reader.line_num}")
    except csv.Error as error:
        raise AssayError(
            "C014", f"not a CSV: {error}", where=f"{path}:{reader.line_num}"
        ) from error


def _check_header(header: list[str], path: Path) -> None:
    fix = "the columns are row, decision and, if you like, value, reason, reviewer"
    if missing := {"row", "decision"} - set(header):
        what = f"the decisions lack the column {' and '.join(sorted(missing))}"
        raise AssayError("C014", what, where=f"{path}:1", fix=fix)
    if len(set(header)) != len(header) or set(header) - KNOWN:
        raise AssayError("C014", "a column that decisions do not have", where=f"{path}:1", fix=fix)


def _decision(header: list[str], cells: list[str], where: str) -> dict[str, Any]:
    if len(cells) != len(header):
        raise AssayError("C014", f"{len(cells)} fields, the header has {len(header)}", where=where)
    item: dict[str, Any] = {
        name: cell.strip() or None for name, cell in zip(header, cells, strict=True)
    }
    row, decision = ordinal(item["row"] or ""), (item["decision"] or "").lower()
    if row is None:
        raise AssayError("C014", "the row is not a number from 0", where=where)
    if decision not in DECISIONS:
        fix = f"a decision is {', '.join(DECISIONS)}"
        raise AssayError("C014", "an unknown decision", where=where, fix=fix)
    if decision == "relabel" and not item.get("value"):
        raise AssayError("C014", "relabel needs a value", where=where)
    return {**item, "row": row, "decision": decision, "where": where,
            "reviewer": item.get("reviewer") or config.reviewer()}  # fmt: skip


def _validate(store: Store, base: Entry, decisions: list[dict[str, Any]]) -> None:
    """Refuse what could never be applied, before anything is recorded."""
    if not decisions:
        raise AssayError("C014", "the file holds no decision")
    files = store.reader(base)
    found = _rowed(files)
    uncast = set(found.filter(pc.equal(found["check"], "ingest"))["row"].to_pylist())
    rejected = {row for table in files.tables("rejected", ["_row"])
                for row in table["_row"].to_pylist()}  # fmt: skip
    label = _label(files)
    _refuse_twice(decisions)
    for item in decisions:
        row, decision = item["row"], item["decision"]
        if row >= base.facts["rows"]["source"]:
            raise AssayError("C014", f"run {base.seq} has no row {row}", where=item["where"])
        if decision in ("reject", "undo"):
            continue
        if row in rejected or row in uncast:
            what = f"row {row} cannot be read under the contract, so it can only be rejected"
            fix = "reject it, or repair the source and run again"
            raise AssayError("C014", what, where=item["where"], fix=fix)
        if decision == "relabel":
            _check_label(label, item)


def _refuse_twice(decisions: list[dict[str, Any]]) -> None:
    """Refuse a file that decides on a row twice; C014 names both lines."""
    seen: dict[int, str] = {}
    for item in decisions:
        row = item["row"]
        if row in seen and item["decision"] != "undo":
            what = f"the file decides on row {row} twice"
            raise AssayError("C014", what, where=f"{seen[row]} and {item['where']}", fix="keep one")
        seen[row] = item["where"]


def _label(files: RunReader) -> Any:
    contract = row_history.contract_of(files)
    return contract.column(contract.label) if contract.label else None


def _check_label(label: Any, item: Mapping[str, Any]) -> None:
    if label is None:
        raise AssayError("C014", "the contract names no label to change", where=item["where"])
    from provenance.rows import cast

    _, codes = cast.cast(pa.array([item["value"]]), label.spec)
    valid = label.valid_values
    if codes[0].is_valid or (valid and item["value"] not in {str(value) for value in valid}):
        fix = f"the classes are {', '.join(map(str, valid))}" if valid else ""
        raise AssayError("C014", "not a class of the label", where=item["where"], fix=fix)


def _rowed(files: RunReader) -> pa.Table:
    table = pa.concat_tables(files.tables("findings"))
    return table.filter(pc.is_valid(table["row"]))


def _text(facts: Mapping[str, Any], words: str) -> str:
    told = f"{facts['waiting']:,} rows wait ({facts['quarantined']:,} of them quarantined)"
    lines = [f"run {facts['run']}: {told}, {facts['decided']:,} are decided"]
    for item in facts["rows"]:
        lines.append(f"row {item['row']}  {item['fate']}")
        for reason in item["reasons"]:
            column = f" [{reason['column']}]" if reason["column"] else ""
            advice = f" -> {reason['suggestion']}" if reason["suggestion"] else ""
            lines.append(
                f"  {reason['severity']:<8} {reason['rule']}{column}: {reason['evidence']}{advice}"
            )
    if facts["waiting"] > len(facts["rows"]):
        lines.append(f"{facts['waiting'] - len(facts['rows']):,} more: --limit 0 lists them all")
    next_ = f"`assay review {facts['run']} --apply FILE{words}`"
    lines.append(f"next: write row,decision lines to a CSV, then {next_}")
    return "".join(f"{printable(line)}\n" for line in lines)
