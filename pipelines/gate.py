"""`assay gate`: start a training command only on a pass; unknown and stale are no.

A pass is reused when it is younger than --max-age and was given to the very same source,
reference, contract, policy and code, with the same model and deny list, in a ledger that holds;
its files' digests are checked again before the command starts.
"""

import argparse
import dataclasses
import datetime as dt
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from checks.kit.contract import Contract
from pipelines import beside, commit, config, keys, outcome, reading, server_address, stages, trust
from pipelines.commit import Committer
from pipelines.console import Progress
from pipelines.request import Prepared, Request, expand, now, prepare
from pipelines.run import execute
from pipelines.run_command import request_of
from pipelines.store import Store
from provenance import guard, remote, verify
from provenance.codes import EXIT
from provenance.entry import Entry
from provenance.errors import AssayError, Notice
from provenance.ledger import broken

AGE = re.compile(r"([0-9]{1,6})([smhd])")
OLDEST = dt.timedelta(days=36_525)  # a century; dates end not far beyond it
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
ANSWER_SECONDS = 2.0
UNSEARCHED = "ASSAY-K020"
HANDED_ON = (signal.SIGTERM, signal.SIGHUP)


def main(arguments: argparse.Namespace) -> int:
    """Check, and on a pass run the command and return its exit code."""
    if not arguments.command:
        what = "the gate needs a command to guard"
        raise AssayError("C012", what, fix="assay gate CONTRACT -- COMMAND...")
    oldest = dt.datetime.now(dt.UTC) - age_of(arguments.max_age)
    request = request_of(arguments, direct=not _orchestrated())
    store = Store(request.store, request.share)
    prepared = prepare(request)
    entry = reusable(request, prepared, store, oldest)
    if entry is None:
        with Progress(sys.stderr, os.environ) as progress:
            made = execute(request, progress, prepared)
        if arguments.json:
            outcome.show(made, as_json=True)
        if not made.verdict.passed:
            return _refuse(made)
        if made.is_interrupted:
            what = f"interrupted; run {made.entry.seq} is committed, the command was not started"
            raise AssayError("E130", what)
        entry = made.entry
        _tell(made.warnings)
    else:
        sys.stderr.write(f"run {entry.seq} of {entry.facts['time']} passed and still holds\n")
        _tell(Notice(**told) for told in entry.facts.get("warnings", ()))
        if arguments.json:
            told = outcome.recorded(entry, store.run_folder(entry.seq))
            sys.stdout.write(json.dumps(told) + "\n")
    record(store, entry, arguments.command)
    inherited = dict(arguments.environment)
    if config.key_text():
        del inherited["ASSAY_SIGNING_KEY"]  # the key itself is nothing for a training job
    return start(arguments.command, inherited, store.run_folder(entry.seq), entry.seq)


def age_of(text: str) -> dt.timedelta:
    """Return the age that `24h`, `90m`, `30s` or `7d` stands for; C012 for anything else."""
    match = AGE.fullmatch(text)
    age = dt.timedelta(**{UNITS[match[2]]: int(match[1])}) if match else OLDEST
    if age >= OLDEST:
        raise AssayError("C012", "--max-age is not an age", fix="write it as 24h, 90m, 30s or 7d")
    return age


def reusable(
    request: Request, prepared: Prepared, store: Store, oldest: dt.datetime
) -> Entry | None:
    """Return the newest run for the same inputs if it passed and is young enough.

    Raises:
        AssayError: ASSAY-L001 to L007 if the ledger does not hold, L011 if the run's files do not
            have their recorded digests any more.
    """
    contract, sources, references = prepared.contract, prepared.sources, prepared.reference
    trust.require_whole(store)
    if not store.ledger.numbers():
        return None
    tests = expand(contract.test_set) if contract.test_set else []
    if any(remote.is_url(name) for name in (*sources, *references, *tests)):
        return None  # what a store holds is only known once it is read
    wanted = (
        contract.sha256,
        commit.code_facts()["sha256"],
        dataclasses.asdict(stages.policy_of(contract, request.fail_on)),
        [_digest(name, contract) for name in sources],
        [_digest(name, contract) for name in references],
        _beside(contract),
    )
    for entry in reversed(store.runs()):
        facts = entry.facts
        given = (
            facts["contract"]["sha256"],
            facts["code"]["sha256"],
            facts["policy"],
            [item["sha256"] for item in facts["inputs"]],
            [item["sha256"] for item in facts["reference"]],
            facts.get("beside", {}),
        )
        if given == wanted:
            fresh = oldest <= dt.datetime.fromisoformat(facts["time"]) <= dt.datetime.now(dt.UTC)
            return _held(store, entry) if fresh and facts["verdict"] == "pass" else None
    return None


def _beside(contract: Contract) -> dict[str, str] | None:
    """Return the digests of what the contract names; None, which no run has, without any."""
    try:
        return beside.digests(contract, keys.own)
    except AssayError as error:
        if error.code != "ASSAY-K003":
            raise
        return None


def _digest(name: str, contract: Contract) -> str:
    limits = reading.source_limits(contract)
    with guard.Opened(name, limits) as file:  # no pipe, no device, no endless file
        return file.digest()


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


def start(command: Sequence[str], environment: Mapping[str, str], folder: Path, number: int) -> int:
    """Run the command with the clean dataset in its environment; returns its exit code."""
    given = {
        "ASSAY_CLEAN": str((folder / "clean").absolute()),
        "ASSAY_RUN": str(number),
        "ASSAY_MANIFEST": str((folder / "manifest.json").absolute()),
    }
    sys.stdout.flush()
    try:
        process = subprocess.Popen(list(command), env={**environment, **given})
    except OSError as error:
        what = f"the command cannot be started: {os.strerror(error.errno or 0)}"
        raise AssayError("G002", what, where=command[0], fix="check the words after --") from error
    with process:
        # Ctrl-C reaches the command itself, a termination is handed on; its code is what counts
        before = {which: signal.getsignal(which) for which in HANDED_ON}
        for which in HANDED_ON:
            signal.signal(which, lambda got, _: process.send_signal(got))
        before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            code = process.wait()
        finally:
            for which, handler in before.items():
                signal.signal(which, handler)
    return code if code >= 0 else 128 - code


def _tell(warnings: Iterable[Notice]) -> None:
    """Say what a pass does not speak for: a person reads this before the training starts."""
    for notice in warnings:
        if notice.code == UNSEARCHED:
            sys.stderr.write(f"not checked {notice.code}: {notice.message}\n")


def _refuse(made: outcome.Outcome) -> int:
    sys.stderr.write(f"refused: run {made.entry.seq} is {made.verdict.word}\n")
    for reason in made.verdict.reasons:
        sys.stderr.write(f"  {reason.code}: {reason.message}\n")
    _tell(made.warnings)
    sys.stderr.write(
        f"help: open {made.folder / 'report.html'}, or `assay review {made.entry.seq} --list`\n"
    )
    return made.verdict.exit_code or EXIT["fail"]


def _held(store: Store, entry: Entry) -> Entry:
    for notice in verify.verify_files(store.run_folder(entry.seq), entry)[:1]:
        raise broken("L011", notice.message, Path(notice.where))
    return entry


def _orchestrated() -> bool:
    """Return whether a configured Prefect server answers; a silent one is only a warning."""
    url = server_address.configured_url()
    if not url:
        return False
    try:
        server_address.check_answers(url, ANSWER_SECONDS)
    except AssayError as error:
        sys.stderr.write(f"warning {error.code}: {error.what}; running without it\n")
        return False
    return True
