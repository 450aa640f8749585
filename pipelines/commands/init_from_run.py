"""`assay init --from RUN`: revise a run's contract by its reviews and by the runs before it."""

import argparse
import json
import shlex
import sys
import tempfile
from pathlib import Path

from checks.kit.wording import count
from pipelines import config
from pipelines.commands.init import print_lines, refuse_combined
from pipelines.proposal import history, revise
from pipelines.proposal.history import Reviewed
from pipelines.proposal.revise import BOM, Revision
from pipelines.store import trust
from pipelines.store.store import Store
from provenance.base import atomic

MODELINE = "# yaml-language-server:"


def main(arguments: argparse.Namespace) -> int:
    """Verify the ledger, revise the contract, load the result as a run would, and write it.

    Raises:
        AssayError: ASSAY-C012 for options of a source, or if the file exists; C013 if there is no
            such run or store; L001 to L007 if the ledger does not verify; L011 if a file of a run
            is missing or not as recorded; E104 if the contract's layout defeats an edit.
    """
    others = ("source", "label", "key", "delimiter", "trust", "schema")
    refuse_combined(arguments, "--from RUN", others, "the run has a contract")
    path = Path(arguments.output or "contract.yaml")
    atomic.refuse_existing(path, "contract", force=arguments.force)
    store = Store(config.store_folder(arguments.store))
    store.require()
    trust.require_whole(store)
    run = history.reviewed(store, store.find(arguments.run))
    revision = revise.revise(run, history.past(store, run))
    text = _headed(revision, run.entry.seq)
    _require(text, run, revision)
    atomic.write_output(path, text.encode())
    _report(arguments, path, run, revision)
    return 0


def _headed(revision: Revision, number: int) -> str:
    """Return the text with a line that says where it comes from, below a line for editors."""
    first, end, rest = revision.text.removeprefix(BOM).partition("\n")
    changes = f"{count(len(revision.changes), 'rule')}, with the reason above each."
    head = f"# Revised by `assay init --from {number}`: {changes}"
    head += "\r\n" if first.endswith("\r") else "\n"
    mark = BOM if revision.text.startswith(BOM) else ""
    is_modeline = first.startswith(MODELINE)
    return mark + (first + end + head + rest if is_modeline else head + first + end + rest)


def _require(text: str, run: Reviewed, revision: Revision) -> None:
    """Refuse a text that does not load, or whose rules are not exactly the intended ones."""
    from checks.contract import loader

    home = _home(run)
    with tempfile.TemporaryDirectory(prefix="assay-init-") as folder:
        path = Path(folder) / "contract.yaml"
        path.write_text(text, encoding="utf-8", newline="")
        made = loader.load(path, root=Path("/"), home=home)
    revise.require(made.rules, run.contract.rules, revision.changes)


def _home(run: Reviewed) -> Path:
    """Return the folder that the run's contract was read from; its paths are relative to it."""
    return Path(run.entry.facts["contract"]["path"]).parent


def _report(arguments: argparse.Namespace, path: Path, run: Reviewed, revision: Revision) -> None:
    home, notes = _home(run), list(revision.notes)
    if path.absolute().parent.resolve() != home.resolve():
        notes.append(f"its paths are relative to {home}, the folder of the run's contract")
    changes = [
        {"column": item.rule.column, "rule": item.rule.id, "does": item.does, "why": item.why}
        for item in revision.changes
    ]
    if arguments.json:
        whole = {"schema": "assay.init/1", "contract": str(path), "run": run.entry.seq,
                 "changes": changes, "notes": notes}  # fmt: skip
        sys.stdout.write(json.dumps(whole) + "\n")
        return
    decided = f"{count(len(run.released), 'row')} released, {len(run.rejected)} rejected"
    lines = [f"revised the contract of run {run.entry.seq}: {decided}", f"wrote {path}"]
    lines += [f"  {c['does']} {c['rule']} of '{c['column']}' ({c['why']})" for c in changes]
    lines += [f"  {note}" for note in notes]
    lines += [] if changes else ["  no rule changed"]
    print_lines([*lines, f"next: review it, then `assay run {shlex.quote(str(path))}`"])
