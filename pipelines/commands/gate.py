"""`assay gate`: start a training command only if the data passes; unknown or stale does not pass.

A pass is reused if it is younger than --max-age and belongs to the very same source, reference,
contract, policy, code, model and deny list, in a ledger that verifies and was not rolled back. The
command gets a copy of the clean files, verified while it is made: pipelines.run.handover.
"""

import argparse
import dataclasses
import datetime as dt
import hashlib
import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipelines import config
from pipelines.clock import now
from pipelines.commands.run import request_of
from pipelines.console import Progress
from pipelines.orchestration import server
from pipelines.run.execution import execute
from pipelines.run.handover import Relay, delivered, faults
from pipelines.run.request import prepare
from pipelines.run.reuse import reusable
from pipelines.store import outcome
from pipelines.store.commit import Committer
from pipelines.store.outcome import Outcome
from pipelines.store.store import Store
from provenance.base.codes import EXIT
from provenance.base.errors import AssayError, Notice, printable
from provenance.ledger.entry import Entry
from provenance.ledger.refusals import error_of

AGE = re.compile(r"([0-9]{1,6})([smhd])")
OLDEST = dt.timedelta(days=36_525)  # a century; dates end not far beyond it
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
ANSWER_SECONDS = 2.0
UNSEARCHED = "ASSAY-K020"


def main(arguments: argparse.Namespace) -> int:
    """Examine the data, and on a pass run the command and return its exit code."""
    if not arguments.command:
        what = "no command to start: give it after --"
        raise AssayError("C012", what, fix="run `assay gate CONTRACT -- COMMAND...`")
    oldest = dt.datetime.now(dt.UTC) - age_of(arguments.max_age)
    request = dataclasses.replace(
        request_of(arguments, direct=not _is_orchestrated()), checkpoint=arguments.checkpoint
    )
    store = Store(request.store, request.share)
    prepared = prepare(request)
    if entry := reusable(request, prepared, store, oldest):
        return _hand_over(arguments, store, entry)
    with Progress(sys.stderr, os.environ) as progress:
        made = execute(request, progress, prepared)
    if not made.verdict.passed:
        if arguments.json:
            outcome.show(made, as_json=True)
        return _refuse(made, store)
    if made.is_interrupted:
        raise _interrupted(made.entry)
    return _hand_over(arguments, store, made.entry, made)


def age_of(text: str) -> dt.timedelta:
    """Return the age that `24h`, `90m`, `30s` or `7d` stands for; C012 for anything else."""
    match = AGE.fullmatch(text)
    age = dt.timedelta(**{UNITS[match[2]]: int(match[1])}) if match else OLDEST
    if age >= OLDEST:
        what = "--max-age must be a whole number and a unit: s, m, h or d"
        raise AssayError("C012", what, fix="write it as 24h, 90m, 30s or 7d")
    return age


def _hand_over(
    arguments: argparse.Namespace, store: Store, entry: Entry, made: Outcome | None = None
) -> int:
    """Run the command on the clean files of a pass; `made` is its outcome if it is a new one."""
    relay = Relay()
    try:
        with relay:
            with delivered(store, entry, in_place=arguments.in_place) as given:
                record(store, entry, arguments.command)
                _tell(arguments, store, entry, made)
                code = relay.run(arguments.command, given.added_to(arguments.environment))
            if not arguments.in_place:
                return code
            relay.heed_again()
            return _unless_changed(store, entry, code)
    except KeyboardInterrupt:
        raise _interrupted(entry, has_run=relay.has_run) from None


def _unless_changed(store: Store, entry: Entry, code: int) -> int:
    """Return the command's exit code, or 4 if the files it read changed meanwhile."""
    for notice in faults(store, entry)[:1]:
        sys.stderr.write(f"{error_of(notice)}\n")
        what = "the files changed while the command ran: trust nothing that it produced"
        sys.stderr.write(f"{what} (its exit code was {code})\n")
        return EXIT["integrity"]
    return code


def record(store: Store, entry: Entry, command: Sequence[str]) -> None:
    """Record in the ledger, before the fact, that a command gets a run's clean dataset.

    The entry names only the command's program, since its arguments may hold secrets; a digest of
    all arguments tells commands apart.

    Raises:
        AssayError: ASSAY-E001 to E003 if it cannot be recorded; the command then gets nothing.
    """
    words = hashlib.sha256("\0".join(command).encode(errors="surrogateescape")).hexdigest()
    facts = {
        "schema": "assay.entry/1",
        "base": entry.seq,
        "dataset": entry.facts["dataset"],
        "by": config.reviewer(),
        "command": {"program": Path(command[0]).name, "sha256": words},
    }
    Committer.of(store, now()).commit_access(facts)


def _tell(arguments: argparse.Namespace, store: Store, entry: Entry, made: Outcome | None) -> None:
    """Say which pass counts, and what it did not check, before the command starts."""
    if made is None:
        checked = entry.facts.get("checked_at", entry.facts["time"])
        _write(f"reusing run {entry.seq}, which passed at {checked} and still holds")
        _warn(Notice(**told) for told in entry.facts.get("warnings", ()))
    else:
        _warn(made.warnings)
    if arguments.json:
        told = made or outcome.recorded(entry, store.run_folder(entry.seq))
        outcome.show(told, as_json=True)


def _warn(warnings: Iterable[Notice]) -> None:
    for notice in warnings:
        if notice.code == UNSEARCHED:
            _write(f"not checked {notice.code}: {notice.message}")


def _write(line: str) -> None:
    """Write a line on stderr, escaped: parts of it may come from a contract or a file's name."""
    sys.stderr.write(printable(line) + "\n")


def _refuse(made: Outcome, store: Store) -> int:
    _write(f"refused: the verdict of run {made.entry.seq} is {made.verdict.word}")
    for reason in made.verdict.reasons:
        _write(f"  {reason.code}: {reason.message}")
    _warn(made.warnings)
    review = f"`assay review {made.entry.seq} --list{config.store_words(store.folder)}`"
    _write(f"next: {review}, or open {made.folder / 'report.html'}")
    return made.verdict.exit_code or EXIT["fail"]


def _interrupted(entry: Entry, *, has_run: bool = False) -> AssayError:
    what = f"interrupted; run {entry.seq} is committed, the command was not started"
    if has_run:
        what = "interrupted after the command ran; its files were not checked again"
    return AssayError("E130", what)


def _is_orchestrated() -> bool:
    """Return whether a configured Prefect server answers; warn if it does not."""
    url = server.configured_url()
    if not url:
        return False
    try:
        server.check_answers(url, ANSWER_SECONDS)
    except AssayError as error:
        _write(f"warning {error.code}: {error.what}; running without Prefect")
        return False
    return True
