"""`assay explain`: one row's story from source to last fate, or what a code means."""

import argparse
import json
import re
import sys
from typing import Any

from pipelines import config
from pipelines.store import Store
from provenance.codes import CODES, exit_of
from provenance.errors import AssayError, printable

CODE = re.compile(r"(?:ASSAY-)?([IVCKLEG]\d{3})", re.IGNORECASE)


def main(arguments: argparse.Namespace) -> int:
    """Print the page of a code, or the story of a row."""
    if arguments.row is None:
        facts = code_facts(arguments.subject)
        text = (
            f"{facts['code']}: {facts['means']}\n  fix:  {facts['fix']}\n  exit: {facts['exit']}\n"
        )
    else:
        facts = row_facts(
            Store(config.store_folder(arguments.store)), arguments.subject, arguments.row
        )
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
    """Return the story of one row: source, fate, findings, decisions, later fates."""
    from pipelines import story

    if not (row.isascii() and row.isdigit()):
        raise AssayError("C013", f"{row} is not a row", fix="rows are numbers from 0")
    entry, number = store.find(run), int(row)
    base = story.base_of(entry)
    source = story.source_of(entry, number)
    folder = store.run_folder(entry.seq)
    fates = []
    for item in store.runs():
        if story.base_of(item) == base:
            fate = story.fate_in(store.run_folder(item.seq), source, number)
            fates.append(_fate(item.seq, item.kind, item.facts["time"], fate))
    decisions = [d for d in story.decisions_of(store, base) if d.row == number]
    return {
        "schema": "assay.explain/1",
        "run": entry.seq,
        "row": number,
        "source": {"name": source["name"], "sha256": source["sha256"],
                   "row": number - source["first_row"]},
        "fate": next(f["fate"] for f in fates if f["run"] == entry.seq),
        "findings": story.findings_in(folder, number),
        "decisions": [{"entry": d.entry, "time": d.time, "decision": d.decision, "value": d.value,
                       "reason": d.reason, "reviewer": d.reviewer} for d in decisions],
        "fates": fates,
        "contract": entry.facts["contract"],
        "ledger": {"entry": entry.seq, "leaf": entry.leaf.hex()},
    }  # fmt: skip


def told(facts: dict[str, Any]) -> str:
    """Return a row's story as text."""
    source = facts["source"]
    lines = [f"row {facts['row']} of run {facts['run']}: {facts['fate']}"]
    lines.append(
        f"  source    {source['name']}, row {source['row']}, sha256 {source['sha256'][:16]}"
    )
    lines += [_finding(item) for item in facts["findings"]] or ["  findings  none"]
    for item in facts["decisions"]:
        value = f" to {item['value']!r}" if item["value"] else ""
        why = f": {item['reason']}" if item["reason"] else ""
        lines.append(
            f"  decision  {item['decision']}{value} by {item['reviewer']}, {item['time']}, "
            f"entry {item['entry']}{why}"
        )
    for item in facts["fates"]:
        place = f" in {item['file']}, row {item['file_row']}" if item["file"] else ""
        lines.append(f"  fate      {item['kind']} {item['run']}: {item['fate']}{place}")
    contract, ledger = facts["contract"], facts["ledger"]
    lines.append(f"  contract  {contract['path']}, sha256 {contract['sha256'][:16]}")
    lines.append(f"  ledger    entry {ledger['entry']}, digest {ledger['leaf'][:16]}")
    return "".join(f"{printable(line)}\n" for line in lines)


def _finding(item: dict[str, Any]) -> str:
    column = f" [{item['column']}]" if item["column"] else ""
    chance = f", honest with p {item['p_value']:g}" if item["p_value"] is not None else ""
    advice = f" -> {item['suggestion']}" if item["suggestion"] else ""
    head = f"  {item['severity']:<9} {item['rule']}{column}, score {item['score']:g}{chance}"
    return f"{head}: {item['evidence']}{advice}"


def _fate(run: int, kind: str, time: str, fate: dict[str, Any] | None) -> dict[str, Any]:
    found = fate or {"fate": "unknown", "file": None, "file_row": None}
    return {"run": run, "kind": kind, "time": time, "fate": found["fate"], "file": found["file"],
            "file_row": found["file_row"]}  # fmt: skip
