"""`assay verify`: walk the ledger, recompute the digests of runs and decisions."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from pipelines import config, trust
from pipelines.store import RUN_KINDS, Store
from provenance import staging, verify
from provenance.codes import CODES, EXIT
from provenance.entry import Entry
from provenance.errors import AssayError, Notice, printable


def main(arguments: argparse.Namespace) -> int:
    """Print every break; exit 4 if there is one."""
    store = Store(config.store_folder(arguments.store))
    store.require()
    trusted = trust.trusted()
    walked = verify.verify_ledger(store.ledger, trusted)
    breaks = list(walked.breaks)
    warnings = _warnings(store)
    checked = 0
    if not breaks:
        breaks, died = _unlisted(store)
        warnings += died
        for entry in _asked(store, arguments.run, is_cut=bool(breaks)):
            breaks += _files(store, entry)
            checked += entry.kind in RUN_KINDS
    _print(arguments, {"entries": walked.entries, "head": walked.head.hex(), "runs": checked,
                       "key_id": trusted.key_id.hex()}, breaks, warnings)  # fmt: skip
    return EXIT["integrity"] if breaks else EXIT["pass"]


def _asked(store: Store, run: str | None, *, is_cut: bool) -> list[Entry]:
    """Return the entries whose files to look at; a run may have none if the ledger was cut."""
    try:
        return [store.find(run)] if run else list(store.ledger.entries())
    except AssayError:
        if is_cut:
            return []
        raise


def _files(store: Store, entry: Entry) -> list[Notice]:
    if entry.kind in RUN_KINDS:
        return verify.verify_files(store.run_folder(entry.seq), entry)
    if entry.kind == "review":
        names = {file["name"] for file in entry.facts["outputs"]}
        found = verify.verify_files(store.reviews, entry)
        return [notice for notice in found if any(notice.where.endswith(name) for name in names)]
    return []


def _unlisted(store: Store) -> tuple[list[Notice], list[Notice]]:
    """Find runs and decisions without an entry: breaks, and a warning of the very next number.

    A break means that the end of the chain was cut off. The next number may be that, or what a
    run left behind that died before its entry: only a copy of the ledger can tell them apart.
    """
    # looked for before the ledger is read, so that a run committed meanwhile has its entry there
    placed = [*_numbered(store.folder / "runs", "run"), *_numbered(store.reviews, "review")]
    numbers = store.ledger.numbers()
    end = numbers[-1] if numbers else -1
    told = f"the ledger ends at {end}" if numbers else "the ledger is empty"
    breaks, died = [], []
    for number, kind, path in placed:
        what = f"{kind} {number} has no entry"
        if numbers and number == end + 1:
            why = "it died before it was committed, or the ledger's last entry was cut off"
            what += f": {why}; compare with a copy of the ledger"
            died.append(Notice("ASSAY-L009", what, str(path)))
        elif number > end:
            breaks.append(Notice("ASSAY-L002", f"{what}, {told}", str(path)))
    return breaks, died


def _numbered(folder: Path, kind: str) -> list[tuple[int, str, Path]]:
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    named = [path for path in paths if path.stem.isascii() and path.stem.isdigit()]
    return [(int(path.stem), kind, path) for path in named]


def _warnings(store: Store) -> list[Notice]:
    left = staging.left_over(store.staging)
    return [Notice("ASSAY-L009", "a run that died left this behind", str(path)) for path in left]


def _print(
    arguments: argparse.Namespace,
    facts: dict[str, Any],
    breaks: list[Notice],
    warnings: list[Notice],
) -> None:
    for notice in warnings:
        sys.stderr.write(
            printable(f"warning {notice.code}: {notice.message} ({notice.where})") + "\n"
        )
    if arguments.json:
        lists = {
            "breaks": [b.as_dict() for b in breaks],
            "warnings": [w.as_dict() for w in warnings],
        }
        whole = {"schema": "assay.verify/1", "holds": not breaks, **facts, **lists}
        sys.stdout.write(json.dumps(whole) + "\n")
        return
    for notice in breaks:
        sys.stdout.write(printable(f"{notice.code}: {notice.message}") + "\n")
        sys.stdout.write(printable(f"  where: {notice.where}") + "\n")
        sys.stdout.write(f"  fix:   {CODES[notice.code.removeprefix('ASSAY-')][1]}\n")
    word = f"{len(breaks)} breaks found" if breaks else "holds"
    sys.stdout.write(
        f"{word}: {facts['entries']} entries, the files of {facts['runs']} runs, "
        f"key {facts['key_id']}, head {facts['head'][:16]}\n"
    )
