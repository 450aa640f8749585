"""`assay verify`: check the ledger, and the files of its runs and reviews, a report or a row."""

import argparse
import datetime as dt
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from checks.kit.wording import count
from pipelines import config
from pipelines.store import proofs, reference_anchor, trust, unrecorded
from pipelines.store.high_water import Remembered
from pipelines.store.store import RUN_KINDS, Store
from provenance.base import no_follow, staging, store_door
from provenance.base.codes import CODES, EXIT
from provenance.base.errors import AssayError, Notice, printable
from provenance.ledger import lineage, run_files, verify
from provenance.ledger.entry import Entry
from provenance.ledger.run_reader import RunReader
from provenance.ledger.verify import CLOCK_SECONDS, Verified


def main(arguments: argparse.Namespace) -> int:
    """Print every break; the exit code is 4 if there is one."""
    store = Store(config.store_folder(arguments.store))
    store.require()
    if not store_door.is_marked(store.folder) and not store.ledger.folder.exists():
        fix = "name the store with --store"
        raise AssayError("C013", "the folder is not a store", where=str(store.folder), fix=fix)
    _refuse_combined(arguments)
    trusted = trust.trusted(arguments.key)
    known = Remembered.before(store)  # before the ledger is read, which may grow meanwhile
    walked = verify.verify_ledger(store.ledger, trusted)
    breaks, warnings = list(walked.breaks), [*walked.warnings, *_left_over(store)]
    facts: dict[str, Any] = {"entries": walked.entries, "head": walked.head.hex(), "runs": 0,
                             "key_id": trusted.key_id.hex()}  # fmt: skip
    if not breaks:
        breaks += _rolled_back(known, walked)
        if arguments.checkpoint:
            seen = trust.checkpoint(arguments.checkpoint, walked.keys)
            breaks += verify.verify_checkpoint(walked, seen, arguments.checkpoint)
            facts["checkpoint"] = seen.size
        cut, died = unrecorded.faults(store, unrecorded.items(store), walked.kinds)
        breaks += cut
        warnings += died + _from_the_future(store, walked)
        breaks += _requested(arguments, store, facts, is_cut=bool(breaks))
    _print(arguments, facts, breaks, warnings)
    return EXIT["integrity"] if breaks else EXIT["pass"]


def _rolled_back(known: Remembered, walked: Verified) -> list[Notice]:
    """Return a break unless the ledger continues what this user saw of it before."""
    try:
        known.require_continued(walked.leaves)
    except AssayError as error:
        return [Notice(error.code, f"{error.what}; {error.fix}", error.where)]
    return []


def _refuse_combined(arguments: argparse.Namespace) -> None:
    if arguments.row is not None and not arguments.run:
        fix = "give it, as in `assay verify latest --row 7`"
        raise AssayError("C012", "--row needs the RUN that the row belongs to", fix=fix)
    if arguments.report and arguments.run:
        what = "--report cannot be combined with RUN: it finds the run"
        raise AssayError("C012", what, fix="leave RUN out")


def _requested(
    arguments: argparse.Namespace, store: Store, facts: dict[str, Any], *, is_cut: bool
) -> list[Notice]:
    """Check what the user named: a report, a row, the files of one run, or of every run."""
    if arguments.report:
        return _report(store, Path(arguments.report), facts)
    if arguments.row is not None:
        return _row(store, arguments, facts)
    breaks = []
    for entry in _entries(store, arguments.run, is_cut=is_cut):
        breaks += _files(store, entry)
        facts["runs"] += entry.kind in RUN_KINDS
    return breaks


def _entries(store: Store, run: str | None, *, is_cut: bool) -> list[Entry]:
    """Return the entries whose files to check; a run may have none if the ledger was cut."""
    try:
        return [store.find(run)] if run else list(store.ledger.entries())
    except AssayError:
        if is_cut:
            return []
        raise


def _report(store: Store, path: Path, facts: dict[str, Any]) -> list[Notice]:
    """Find the run that a file was copied from, by its digest alone."""
    try:
        with os.fdopen(no_follow.open_given(path), "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        what, fix = "the report cannot be read", "check the path"
        raise AssayError("C012", what, where=str(path), fix=fix) from error
    for entry in store.runs():
        for file in entry.facts["outputs"]:
            if file["sha256"] == sha256:
                facts["report"] = {"run": entry.seq, "name": file["name"]}
                return []
    what = f"no run of this ledger wrote a file with the sha256 {sha256}"
    return [Notice("ASSAY-L011", what, str(path))]


def _row(store: Store, arguments: argparse.Namespace, facts: dict[str, Any]) -> list[Notice]:
    facts["row"] = f"row {arguments.row} of run {arguments.run}"
    try:
        facts["row"], breaks = proofs.verify_row(store, store.find(arguments.run), arguments.row)
    except AssayError as error:
        if error.code != "ASSAY-L011":
            raise
        return [Notice(error.code, f"{error.what}; {error.fix}", error.where)]
    return breaks


def _files(store: Store, entry: Entry) -> list[Notice]:
    if entry.kind in RUN_KINDS:
        files = store.reader(entry)
        # lineage can only be read from files that are as recorded
        return files.faults() or _lineage(files, entry)
    if entry.kind == "review":
        outputs = entry.facts["outputs"]
        of = (run_files.fault_of(store.reviews, entry.seq, f, what="review") for f in outputs)
        return [fault for fault in of if fault]
    return reference_anchor.faults(store, entry) if entry.kind == reference_anchor.KIND else []


def _lineage(files: RunReader, entry: Entry) -> list[Notice]:
    where = str(files.folder / "lineage")
    return lineage.verify(files.tables("lineage"), entry.seq, entry.facts, where)


def _left_over(store: Store) -> list[Notice]:
    what = "a run that was killed left this behind"
    return [Notice("ASSAY-L009", what, str(path)) for path in staging.left_over(store.staging)]


def _from_the_future(store: Store, walked: Verified) -> list[Notice]:
    """Warn if the clock that dated the last entry was ahead of this machine's."""
    head = store.ledger.head() if walked.entries else None
    if head is None:
        return []
    ahead = dt.datetime.fromisoformat(head.facts["time"]) - dt.datetime.now(dt.UTC)
    if ahead.total_seconds() <= CLOCK_SECONDS:
        return []
    what = f"entry {head.seq} is dated {head.facts['time']}, which is in the future"
    return [Notice("ASSAY-L010", what, str(store.ledger.path_of(head.seq)))]


def _print(
    arguments: argparse.Namespace,
    facts: dict[str, Any],
    breaks: list[Notice],
    warnings: list[Notice],
) -> None:
    for notice in warnings:
        line = f"warning {notice.code}: {notice.message} ({notice.where})"
        sys.stderr.write(f"{printable(line)}\n")
    if arguments.json:
        lists = {"breaks": [notice.as_dict() for notice in breaks],
                 "warnings": [notice.as_dict() for notice in warnings]}  # fmt: skip
        whole = {"schema": "assay.verify/1", "holds": not breaks, **facts, **lists}
        sys.stdout.write(json.dumps(whole) + "\n")
        return
    for notice in breaks:
        sys.stdout.write(printable(f"{notice.code}: {notice.message}") + "\n")
        sys.stdout.write(printable(f"  where: {notice.where}") + "\n")
        sys.stdout.write(f"  fix:   {CODES[notice.code.removeprefix('ASSAY-')][1]}\n")
    word = f"{count(len(breaks), 'break')} found" if breaks else "holds"
    sys.stdout.write(f"{word}: {printable(_checked(facts))}\n")


def _checked(facts: dict[str, Any]) -> str:
    """Return what was checked, as text."""
    parts = [count(facts["entries"], "entry")]
    if "checkpoint" in facts:
        parts.append(f"a checkpoint of {facts['checkpoint']}")
    if "report" in facts:
        parts.append(f"the file is {facts['report']['name']} of run {facts['report']['run']}")
    elif "row" in facts:
        parts.append(facts["row"])
    else:
        parts.append(f"the files of {count(facts['runs'], 'run')}")
    return ", ".join([*parts, f"key {facts['key_id']}, head {facts['head'][:16]}"])
