"""`assay ledger`: print the chain, or one entry of it."""

import argparse
import json
import sys
from typing import Any

from pipelines import config
from pipelines.store import Store
from provenance.entry import Entry
from provenance.errors import AssayError, printable


def main(arguments: argparse.Namespace) -> int:
    """Print one line an entry, or all facts of one."""
    store = Store(config.store_folder(arguments.store))
    store.require()
    if arguments.action == "show":
        return _show(store, arguments.entry, as_json=arguments.json)
    entries = [_line(entry) for entry in store.ledger.entries()]
    if arguments.json:
        sys.stdout.write(json.dumps({"schema": "assay.ledger/1", "entries": entries}) + "\n")
    else:
        for item in entries:
            sys.stdout.write(f"{printable(_text(item))}\n")
        if not entries:
            sys.stderr.write(f"the ledger of {store.folder} is empty\n")
    return 0


def _show(store: Store, number: str | None, *, as_json: bool) -> int:
    if not (number and number.isascii() and number.isdigit()):
        raise AssayError("C012", "name the entry's number", fix="`assay ledger show 7`")
    if int(number) not in store.ledger.numbers():
        raise AssayError("C013", f"there is no entry {number}", where=str(store.folder))
    entry = store.ledger.read(int(number))
    whole = {**_line(entry), "prev": entry.prev.hex(), "facts": entry.facts}
    sys.stdout.write(json.dumps(whole, indent=None if as_json else 1) + "\n")
    return 0


def _line(entry: Entry) -> dict[str, Any]:
    facts = entry.facts
    return {
        "seq": entry.seq,
        "kind": facts["kind"],
        "time": facts["time"],
        "dataset": facts.get("dataset"),
        "verdict": facts.get("verdict"),
        "rows": facts.get("rows"),
        "decisions": facts.get("decisions"),
        "base": facts.get("base"),
        "leaf": entry.leaf.hex(),
        "key_id": entry.key_id.hex(),
    }


def _text(item: dict[str, Any]) -> str:
    head = f"{item['seq']:>6}  {item['time']}  {item['kind']:<8} {item['leaf'][:12]}"
    if item["kind"] == "key":
        return f"{head}  key {item['key_id']}"
    if item["kind"] == "review":
        counts = ", ".join(f"{count} {name}" for name, count in item["decisions"].items())
        return f"{head}  of run {item['base']}: {counts}"
    rows = item["rows"]
    fates = (
        f"{rows['clean']:,} clean, {rows['quarantine']:,} quarantine, {rows['rejected']:,} rejected"
    )
    return f"{head}  {item['dataset']}: {item['verdict']}, {fates}"
