"""`assay gate`: start a training command only on a pass; unknown and stale are no.

A pass is reused when it is younger than --max-age and was given to the very same source,
reference, contract, policy and code, with the same model and deny list, in a ledger that holds and
was not turned back. The command gets a copy of the clean files that was checked while it was made:
pipelines.run.handover.
"""

import argparse
import dataclasses
import datetime as dt
import hashlib
import json
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
from pipelines.run.handover import Relay, faults, handed
from pipelines.run.request import prepare
from pipelines.run.reuse import reusable
from pipelines.run.run import execute
from pipelines.store import outcome
from pipelines.store.commit import Committer
from pipelines.store.outcome import Outcome
from pipelines.store.store import Store
from provenance.base.codes import EXIT
from provenance.base.errors import AssayError, Notice, printable
from provenance.ledger import run_files
from provenance.ledger.entry import Entry

AGE = re.compile(r"([0-9]{1,6})([smhd])")
OLDEST = dt.timedelta(days=36_525)  # a century; dates end not far beyond it
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
ANSWER_SECONDS = 2.0
UNSEARCHED = "ASSAY-K020"


def main(arguments: argparse.Namespace) -> int:
    """Check, and on a pass run the command and return its exit code."""
    if not arguments.command:
        what = "the gate needs a command to guard"
        raise AssayError("C012", what, fix="assay gate CONTRACT -- COMMAND...")
    oldest = dt.datetime.now(dt.UTC) - age_of(arguments.max_age)
    asked = request_of(arguments, direct=not _orchestrated())
    request = dataclasses.replace(asked, checkpoint=arguments.checkpoint)
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
        raise AssayError("C012", "--max-age is not an age", fix="write it as 24h, 90m, 30s or 7d")
    return age


def _hand_over(
    arguments: argparse.Namespace, store: Store, entry: Entry, made: Outcome | None = None
) -> int:
    """Run the command on the clean files of a pass; `made` if it was given just now."""
    relay = Relay()
    try:
        with relay:
            with handed(store, entry, in_place=arguments.in_place) as given:
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
    """Return the command's exit code, but 4 if the files it was given are not what they were."""
    for notice in faults(store, entry)[:1]:
        sys.stderr.write(f"{run_files.broken(notice.message, Path(notice.where))}\n")
        what = "the files were changed while the command ran; trust nothing that it made"
        sys.stderr.write(f"{what} (its exit code: {code})\n")
        return EXIT["integrity"]
    return code


def record(store: Store, entry: Entry, command: Sequence[str]) -> None:
    """Write into the ledger that a run's clean dataset is handed to a command, before it is.

    Of the command only its program's name is told, since its words may hold secrets; a digest of
    all words tells commands apart.

    Raises:
        AssayError: ASSAY-E001 to E003 if it cannot be recorded: then nothing is handed out.
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
    """Say which pass counts, and what it does not speak for, before the training starts."""
    if made is None:
        checked = entry.facts.get("checked_at", entry.facts["time"])
        _write(f"run {entry.seq} of {checked} passed and still holds")
        _warn(Notice(**told) for told in entry.facts.get("warnings", ()))
    else:
        _warn(made.warnings)
    if arguments.json and made:
        outcome.show(made, as_json=True)
    elif arguments.json:
        told = outcome.recorded(entry, store.run_folder(entry.seq))
        sys.stdout.write(json.dumps(told) + "\n")


def _warn(warnings: Iterable[Notice]) -> None:
    for notice in warnings:
        if notice.code == UNSEARCHED:
            _write(f"not checked {notice.code}: {notice.message}")


def _write(line: str) -> None:
    """Write a line on stderr; what stands in it may come from a contract or a file's name."""
    sys.stderr.write(printable(line) + "\n")


def _refuse(made: Outcome, store: Store) -> int:
    _write(f"refused: run {made.entry.seq} is {made.verdict.word}")
    for reason in made.verdict.reasons:
        _write(f"  {reason.code}: {reason.message}")
    _warn(made.warnings)
    words = config.store_words(store.folder)
    advice = f"`assay review {made.entry.seq} --list{words}`"
    _write(f"help: open {made.folder / 'report.html'}, or {advice}")
    return made.verdict.exit_code or EXIT["fail"]


def _interrupted(entry: Entry, *, has_run: bool = False) -> AssayError:
    what = f"interrupted; run {entry.seq} is committed, the command was not started"
    if has_run:
        what = "interrupted; the command has run, and its files were not checked again"
    return AssayError("E130", what)


def _orchestrated() -> bool:
    """Return whether a configured Prefect server answers; a silent one is only a warning."""
    url = server.configured_url()
    if not url:
        return False
    try:
        server.check_answers(url, ANSWER_SECONDS)
    except AssayError as error:
        _write(f"warning {error.code}: {error.what}; running without it")
        return False
    return True
