"""`assay explain`: one row's story from source to last fate, or what a code means."""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from pipelines import config
from pipelines.store.store import Store
from provenance.base.codes import CODES, exit_of
from provenance.base.errors import AssayError, printable
from provenance.base.ordinals import ordinal
from provenance.ledger.run_reader import RunReader

FATE = ("run", "kind", "time", "fate", "file", "file_row")
CODE = re.compile(r"(?:ASSAY-)?([IVCKLEG]\d{3})", re.IGNORECASE)


def main(arguments: argparse.Namespace) -> int:
    """Print the page of a code, or the story of a row."""
    if arguments.row is None:
        facts = code_facts(arguments.subject)
        text = (
            f"{facts['code']}: {facts['means']}\n  fix:  {facts['fix']}\n  exit: {facts['exit']}\n"
        )
    else:
        store = Store(config.store_folder(arguments.store))
        store.require()
        facts = row_facts(store, arguments.subject, arguments.row)
        text = told(facts)
    sys.stdout.write(json.dumps(facts) + "\n" if arguments.json else text)
    return 0


def code_facts(subject: str) -> dict[str, Any]:
    """Return what a code means; C013 if there is no such code."""
    match = CODE.fullmatch(subject)
    short = match[1].upper() if match else ""
    if subject == "latest" or subject.isdigit():
        what = f"name the row of run {subject} to explain"
        raise AssayError("C012", what, fix=f"assay explain {subject} ROW")
    if short not in CODES:
        fix = "codes look like ASSAY-I035; a row needs both: `assay explain RUN ROW`"
        raise AssayError("C013", f"there is no code {subject}", fix=fix)
    means, fix = CODES[short]
    return {"code": f"ASSAY-{short}", "means": means, "fix": fix, "exit": exit_of(short)}


def row_facts(store: Store, run: str, row: str) -> dict[str, Any]:
    """Return the story of one row: source, fate, findings, decisions, fates in every run.

    Args:
        store: of the run.
        run: number or `latest`.
        row: ordinal, or a place in the run's files such as `clean/part-00000.parquet:17`.
    """
    from pipelines.store import row_history

    entry = store.find(run)
    files = store.reader(entry)
    number = ordinal(row)
    number = row_history.row_at(files, entry, row) if number is None else number
    if number is None:
        fix = "rows are numbers from 0, or places such as clean/part-00000.parquet:17"
        raise AssayError("C013", f"{row} is not a row", fix=fix)
    base = row_history.base_of(entry)
    source = row_history.source_of(entry, number)
    local = number - source["first_row"]
    runs = list(row_history.fates_of(store, source["sha256"], local))
    fates = [{name: item[name] for name in FATE} for item in runs if item["base"] == base]
    decisions = [d for d in row_history.decisions_of(store, base) if d.row == number]
    return {
        "schema": "assay.explain/1",
        "run": entry.seq,
        "row": number,
        "source": {"name": source["name"], "sha256": source["sha256"], "row": local,
                   **_bytes(files, source, local)},
        "fate": next(f["fate"] for f in fates if f["run"] == entry.seq),
        "findings": row_history.findings_in(files, number),
        "decisions": [{"entry": d.entry, "time": d.time, "decision": d.decision, "value": d.value,
                       "reason": d.reason, "reviewer": d.reviewer} for d in decisions],
        "fates": fates,
        "runs": runs,
        "contract": entry.facts["contract"],
        "ledger": {"entry": entry.seq, "leaf": entry.leaf.hex()},
    }  # fmt: skip


def _bytes(files: RunReader, source: Mapping[str, Any], local: int) -> dict[str, Any]:
    """Return where a row's bytes are in its source file, or why that cannot be told."""
    from pipelines.store import row_history
    from provenance.readers import row_bytes
    from provenance.rows.snapshot import Source

    if "://" in source["name"]:
        return {"bytes": None, "bytes_unknown": "the source is no local file"}
    dialect = row_history.contract_of(files).csv
    try:
        span = row_bytes.span_of(Source(**source), local, dialect)
    except AssayError as error:
        return {"bytes": None, "bytes_unknown": f"{error.what} ({error.code})"}
    if span is None:
        return {"bytes": None, "bytes_unknown": "the file is no text"}
    base, _, packing = source["format"].partition(".")
    is_recoded = base != "jsonl" and dialect.encoding != "utf-8"
    whose = ("unpacked text" if packing else "file") + (" as UTF-8" if is_recoded else "")
    return {"bytes": {"start": span[0], "end": span[1], "of": whose}, "bytes_unknown": None}


def told(facts: dict[str, Any]) -> str:
    """Return a row's story as text."""
    lines = [
        f"row {facts['row']} of run {facts['run']}: {facts['fate']}",
        *_source(facts["source"]),
    ]
    lines += [_finding(item) for item in facts["findings"]] or ["  findings  none"]
    for item in facts["decisions"]:
        value = f" to {item['value']!r}" if item["value"] else ""
        why = f": {item['reason']}" if item["reason"] else ""
        lines.append(
            f"  decision  {item['decision']}{value} by {item['reviewer']}, {item['time']}, "
            f"entry {item['entry']}{why}"
        )
    for item in facts["runs"]:
        place = f" in {item['file']}, row {item['file_row']}" if item["file"] else ""
        lines.append(
            f"  fate      {item['kind']} {item['run']}: {item['fate']}{place}; {item['time']}, "
            f"contract {item['contract'][:8]}"
        )
    contract, ledger = facts["contract"], facts["ledger"]
    lines.append(f"  contract  {contract['path']}, sha256 {contract['sha256'][:16]}")
    lines.append(f"  ledger    entry {ledger['entry']}, digest {ledger['leaf'][:16]}")
    return "".join(f"{printable(line)}\n" for line in lines)


def _source(source: Mapping[str, Any]) -> Iterator[str]:
    yield f"  source    {source['name']}, row {source['row']}, sha256 {source['sha256'][:16]}"
    if span := source["bytes"]:
        yield f"  bytes     {span['start']:,} up to {span['end']:,} of the {span['of']}"
    else:
        yield f"  bytes     not told: {source['bytes_unknown']}"


def _finding(item: dict[str, Any]) -> str:
    column = f" [{item['column']}]" if item["column"] else ""
    chance = f", honest with p {item['p_value']:g}" if item["p_value"] is not None else ""
    advice = f" -> {item['suggestion']}" if item["suggestion"] else ""
    head = f"  {item['severity']:<9} {item['rule']}{column}, score {item['score']:g}{chance}"
    return f"{head}: {item['evidence']}{advice}"
