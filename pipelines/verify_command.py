"""`assay verify`: walk the ledger, recompute the digests of runs and decisions."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from pipelines import config
from pipelines.store import RUN_KINDS, Store
from provenance import atomic, sign, verify
from provenance.codes import EXIT
from provenance.entry import Entry
from provenance.errors import AssayError, Notice, printable
from provenance.sign import Verifier


def main(arguments: argparse.Namespace) -> int:
    """Print every break; exit 4 if there is one."""
    store = Store(config.store_folder(arguments.store))
    if not store.folder.is_dir():
        raise AssayError(
            "C013", "there is no store", where=str(store.folder), fix="name it by --store"
        )
    trusted = _trusted()
    walked = verify.verify_ledger(store.ledger, trusted)
    breaks = list(walked.breaks)
    checked = 0
    if not breaks:
        entries = [store.find(arguments.run)] if arguments.run else list(store.ledger.entries())
        for entry in entries:
            breaks += _files(store, entry)
            checked += entry.kind in RUN_KINDS
        breaks += _cut(store)
    warnings = _warnings(store)
    _print(arguments, {"entries": walked.entries, "head": walked.head.hex(), "runs": checked,
                       "key_id": trusted.key_id.hex()}, breaks, warnings)  # fmt: skip
    return EXIT["integrity"] if breaks else EXIT["pass"]


def _trusted() -> Verifier:
    """Return the pinned public key, else this user's own; never one that the store names."""
    pinned = config.public_key()
    if pinned:
        return sign.load_public(pinned)
    if not config.signing_key().exists():
        fix = "set ASSAY_PUBLIC_KEY to the PEM file of the key you trust"
        raise AssayError(
            "E003", "there is no key to verify with", where=str(config.signing_key()), fix=fix
        )
    return sign.load(config.signing_key()).verifier


def _files(store: Store, entry: Entry) -> list[Notice]:
    if entry.kind in RUN_KINDS:
        return verify.verify_files(store.run_folder(entry.seq), entry)
    if entry.kind == "review":
        names = {file["name"] for file in entry.facts["outputs"]}
        found = verify.verify_files(store.reviews, entry)
        return [notice for notice in found if any(notice.where.endswith(name) for name in names)]
    return []


def _cut(store: Store) -> list[Notice]:
    """Find runs and decisions whose entries are gone: the end of the chain was cut off."""
    numbers = store.ledger.numbers()
    end = numbers[-1] if numbers else -1
    placed = [*_numbered(store.folder / "runs"), *_numbered(store.reviews)]
    # the very next number may be what a run left behind that died before its entry
    allowed = end + 1 if numbers else -1
    return [
        Notice("ASSAY-L002", f"run {number} has no entry, the ledger ends at {end}", str(path))
        for number, path in placed
        if number > allowed
    ]


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [(int(path.stem), path) for path in paths if path.stem.isascii() and path.stem.isdigit()]


def _warnings(store: Store) -> list[Notice]:
    left = atomic.left_over(store.staging)
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
        sys.stdout.write(
            printable(f"{notice.code}: {notice.message}\n  where: {notice.where}") + "\n"
        )
    word = f"{len(breaks)} breaks found" if breaks else "holds"
    sys.stdout.write(
        f"{word}: {facts['entries']} entries, the files of {facts['runs']} runs, "
        f"key {facts['key_id']}, head {facts['head'][:16]}\n"
    )
