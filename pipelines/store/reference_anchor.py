"""Anchors: a person decides that a run's clean dataset is the reference from then on.

`assay review RUN --anchor` appends an entry of kind `anchor`, which names the run and the digests
of its clean files. For every later run of the dataset it takes precedence over the contract's
`assay.reference`, until another run is anchored; a command's `--reference` overrides both.
"""

import argparse
import dataclasses
import json
import sys
from typing import Any

from pipelines import config
from pipelines.clock import now
from pipelines.store import trust
from pipelines.store.commit import Committer
from pipelines.store.store import RUN_KINDS, Store
from provenance.base.errors import AssayError, Notice
from provenance.ledger import run_files
from provenance.ledger.entry import Entry

KIND = "anchor"
MAX_REASON = 500


@dataclasses.dataclass(frozen=True, slots=True)
class Standing:
    """The anchor of a dataset, None if there is none, and the last entry of the ledger then."""

    entry: Entry | None = None
    head: int = -1

    def facts(self) -> dict[str, Any]:
        """Return what a run records, so that the next one need not search further back."""
        return {"entry": self.entry.seq if self.entry else None, "head": self.head}

    def warnings(self, *, is_used: bool) -> tuple[Notice, ...]:
        """Return the notice that says which reference is used."""
        if self.entry is None or not is_used:
            return ()
        facts = self.entry.facts
        what = f"the reference is the clean dataset of run {facts['base']}, which {facts['by']}"
        what += f" anchored on {facts['time'][:10]}"
        return (Notice("ASSAY-K018", what, f"entry {self.entry.seq}"),)


def standing(store: Store, dataset: str) -> Standing:
    """Find the anchor of a dataset.

    Each run records the anchor in force when it began, so the search ends at the last run.

    Raises:
        AssayError: ASSAY-L001, L003 to L007 if an entry on the way is not intact.
    """
    numbers = store.ledger.numbers()
    if not numbers:
        return Standing()
    read, oldest = store.ledger.reader(), -1
    anchor: int | None = None
    for number in reversed(numbers):
        if number <= oldest:
            break
        entry = read(number)
        facts = trust.facts_of(store, entry)
        if facts.get("dataset") != dataset:
            continue
        if facts["kind"] == KIND:
            return Standing(trust.vouched(store, entry), numbers[-1])
        if facts["kind"] == "run" and oldest < 0:
            recorded = trust.vouched(store, entry).facts.get("anchor") or {}
            # an anchor may have been appended while that run was in progress
            anchor, oldest = recorded.get("entry"), int(recorded.get("head", -1))
            if "anchor" not in facts:
                break  # written before anchors existed
    return Standing(None if anchor is None else trust.vouched(store, read(anchor)), numbers[-1])


def files(store: Store, entry: Entry) -> list[str]:
    """Return the files of the anchored clean dataset, in order.

    Raises:
        AssayError: ASSAY-L011 if one is missing or does not match its recorded digest.
    """
    return _required(store, entry.facts["base"], entry.facts["files"])


def faults(store: Store, entry: Entry) -> list[Notice]:
    """Return what is wrong with an anchor: its run must have recorded the same files."""
    base = store.ledger.read(entry.facts["base"])
    if base.kind in RUN_KINDS and _clean_files(base) == entry.facts["files"]:
        return []
    what = f"entry {entry.seq} anchors files that run {entry.facts['base']} did not record"
    return [Notice("ASSAY-L011", what, str(store.ledger.path_of(entry.seq)))]


def decide(arguments: argparse.Namespace, store: Store, run: Entry) -> int:
    """Record that a run's clean dataset is the reference, and say so; errors as of `record`."""
    entry = record(store, run, config.reviewer(), (arguments.reason or "").strip())
    facts = run.facts
    report = {"schema": "assay.anchor/1", "run": run.seq, "entry": entry.seq,
              "dataset": facts["dataset"]}  # fmt: skip
    text = (
        f"entry {entry.seq}: the clean dataset of run {run.seq} is the reference for "
        f"{facts['dataset']} from now on\n"
    )
    if codes := sorted({reason["code"] for reason in facts["reasons"]}):
        sys.stderr.write(
            f"warning: anchored run {run.seq} although it failed: {', '.join(codes)}\n"
        )
    sys.stdout.write(json.dumps(report) + "\n" if arguments.json else text)
    return 0


def record(store: Store, run: Entry, by: str, reason: str) -> Entry:
    """Record that a run's clean dataset is the reference from now on.

    Args:
        store: that has the run.
        run: a run or a release.
        by: who decides.
        reason: why, for those who come later; may be empty.

    Raises:
        AssayError: ASSAY-C014 if a check did not run on it or it has no clean row, L011 if a file
            of it does not match its record.
    """
    facts = run.facts
    if not facts["checked"]:
        what = "a check did not run on this run, so it cannot serve as the reference"
        raise AssayError("C014", what, where=f"run {run.seq}", fix="anchor a different run")
    if not facts["rows"]["clean"]:
        what = "this run has no clean rows to compare with"
        raise AssayError("C014", what, where=f"run {run.seq}", fix="anchor a different run")
    if len(reason) > MAX_REASON or not reason.isprintable():
        what = f"--reason must be one line of at most {MAX_REASON} characters"
        raise AssayError("C014", what, where="--reason", fix="shorten it")
    time = now()
    made = {"schema": "assay.entry/1", "kind": KIND, "time": time, "dataset": facts["dataset"],
            "base": run.seq, "by": by, "reason": reason or None,
            "files": _clean_files(run)}  # fmt: skip
    committer = Committer.of(store, time)
    _required(store, run.seq, made["files"])
    return committer.commit_facts(made)


def _required(store: Store, run: int, recorded: list[dict[str, Any]]) -> list[str]:
    folder = store.run_folder(run)
    for file in recorded:
        run_files.require(folder, run, file)
    return [str(folder / file["name"]) for file in recorded]


def _clean_files(run: Entry) -> list[dict[str, Any]]:
    outputs = [file for file in run.facts["outputs"] if file["name"].startswith("clean/")]
    return sorted(
        ({"name": file["name"], "sha256": file["sha256"]} for file in outputs),
        key=lambda file: file["name"],
    )
