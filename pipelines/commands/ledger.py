"""`assay ledger`: list entries, make checkpoints and proofs for others, compact, manage keys."""

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from pipelines import config
from pipelines.clock import now
from pipelines.store import high_water, keys, proofs, rotation, trust
from pipelines.store.store import Store
from provenance.base.errors import AssayError, printable
from provenance.base.ordinals import ordinal
from provenance.ledger import compaction, key_files
from provenance.ledger.entry import Entry


def main(arguments: argparse.Namespace) -> int:
    """Carry out the action."""
    return ACTIONS[arguments.action](arguments)


def _opened(arguments: argparse.Namespace) -> Store:
    store = Store(config.store_folder(arguments.store))
    store.require()
    return store


def _log(arguments: argparse.Namespace) -> int:
    store = _opened(arguments)
    entries = [_line(entry) for entry in store.ledger.entries()]
    if not entries:
        sys.stderr.write(f"the ledger of {store.folder} is empty\n")
    text = "".join(f"{printable(_text(item))}\n" for item in entries)
    _print(arguments, {"schema": "assay.ledger/1", "entries": entries}, text)
    return 0


def _show(arguments: argparse.Namespace) -> int:
    store = _opened(arguments)
    number = ordinal(arguments.entry or "")
    if number is None:
        what = "`assay ledger show` needs the number of an entry"
        raise AssayError("C012", what, fix="give it, as in `assay ledger show 7`")
    if number not in store.ledger.numbers():
        raise AssayError("C013", f"there is no entry {number}", where=str(store.folder))
    entry = store.ledger.unedited(number)
    whole = {**_line(entry), "prev": entry.prev.hex(), "facts": entry.facts}
    sys.stdout.write(json.dumps(whole, indent=None if arguments.json else 1) + "\n")
    return 0


def _checkpoint(arguments: argparse.Namespace) -> int:
    store = _opened(arguments)
    made, note = proofs.checkpoint(store)
    facts = {"schema": "assay.checkpoint/1", "origin": made.origin, "size": made.size,
             "root": made.root.hex(), "note": note, "path": arguments.output}  # fmt: skip
    proofs.write(arguments.output, note.encode())
    text = f"wrote a checkpoint of {made.size} entries to {arguments.output}; keep it elsewhere\n"
    _print(arguments, facts, text if arguments.output else note)
    return 0


def _prove(arguments: argparse.Namespace) -> int:
    store = _opened(arguments)
    if arguments.since:
        facts, text = proofs.since(store, arguments.since)
    else:
        facts, text = proofs.of(store, arguments.entry, arguments.row, arguments.checkpoint)
    if arguments.row_file:
        proofs.write_row(store, arguments.entry, arguments.row, arguments.row_file)
    mode = proofs.PRIVATE if facts.get("row") is not None else 0o666
    proofs.write(arguments.output, text.encode(), mode=mode)
    name = facts.pop("told")
    whole = {**facts, "proof": text, "path": arguments.output}
    _print(
        arguments, whole, f"wrote the {name} to {arguments.output}\n" if arguments.output else text
    )
    return 0


def _compact(arguments: argparse.Namespace) -> int:
    store = _opened(arguments)
    with store.opened(make=False):
        trust.require_whole(store)
        made = compaction.compact(store.ledger, keys.own(), now())
        if made.name and (head := store.ledger.head()):
            high_water.advance(store, head)
    facts = {"schema": "assay.compact/1", "segment": made.name, "entries": made.entries,
             "removed": made.removed}  # fmt: skip
    text = f"packed {made.entries} entries into {made.name}" if made.name else "nothing to compact"
    _print(arguments, facts, f"{text}\n")
    return 0


def _rotate(arguments: argparse.Namespace) -> int:
    store = _opened(arguments)
    with store.opened(make=False):
        made, text = rotation.rotate(store, arguments.to, now())
    facts = {"schema": "assay.rotate/1", "entry": made.seq, "public_key": made.facts["public_key"]}
    _print(arguments, facts, f"{text}\n")
    return 0


def _key(arguments: argparse.Namespace) -> int:
    signer = keys.own(make=True)
    pem = signer.public_pem().decode()
    facts = {"schema": "assay.key/1", "key_id": signer.verifier.key_id.hex(), "public_key": pem,
             "path": arguments.output}  # fmt: skip
    # pinning a key that other users can write is refused (E003)
    proofs.write(arguments.output, pem.encode(), mode=0o666 & ~key_files.PUBLIC)
    text = f"wrote public key {facts['key_id']} to {arguments.output}\n"
    _print(arguments, facts, text if arguments.output else pem)
    return 0


ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {
    "log": _log, "show": _show, "checkpoint": _checkpoint, "prove": _prove, "compact": _compact,
    "rotate": _rotate, "key": _key,
}  # fmt: skip


def _print(arguments: argparse.Namespace, facts: dict[str, Any], text: str) -> None:
    sys.stdout.write(json.dumps(facts) + "\n" if arguments.json else text)


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
        "by": facts.get("by"),
        "shown": facts.get("shown"),
        "leaf": entry.leaf.hex(),
        "key_id": entry.key_id.hex(),
    }


def _accessed(item: dict[str, Any]) -> str:
    if item["shown"]:
        return f"masked cells of run {item['base']} were shown to {item['by']}"
    return f"a command was given the clean dataset of run {item['base']}"


def _text(item: dict[str, Any]) -> str:
    head = f"{item['seq']:>6}  {item['time']}  {item['kind']:<8} {item['leaf'][:12]}"
    if item["kind"] == "key":
        return f"{head}  signed by key {item['key_id']}"
    if item["kind"] == "compact":
        return head
    if item["kind"] == "access":
        return f"{head}  {_accessed(item)}"
    if item["kind"] == "anchor":
        return f"{head}  the clean dataset of run {item['base']} is the reference"
    if item["kind"] == "review":
        counts = ", ".join(f"{count} {name}" for name, count in item["decisions"].items())
        return f"{head}  decisions on run {item['base']}: {counts}"
    rows = item["rows"]
    fates = f"{rows['clean']:,} clean, {rows['quarantine']:,} quarantined"
    verdict = f"{item['dataset']}: {item['verdict']}"
    return f"{head}  {verdict}, {fates}, {rows['rejected']:,} rejected"
