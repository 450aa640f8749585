"""`assay init --from RUN`: write a run's contract anew, as its reviews and its past ask."""

import argparse
import json
import shlex
import sys
import tempfile
from pathlib import Path

from pipelines import config
from pipelines.proposal import history, revise
from pipelines.proposal.history import Reviewed
from pipelines.proposal.revise import Revision
from pipelines.store import trust
from pipelines.store.store import Store
from provenance.base import atomic
from provenance.base.errors import AssayError, printable

MODELINE = "# yaml-language-server:"


def main(arguments: argparse.Namespace) -> int:
    """Verify the ledger, look back, revise, check the result as a run would read it, write it.

    Raises:
        AssayError: ASSAY-C012 for options of a source, or if the file exists; C013 if there is no
            such run or store; L001 to L007 if the ledger does not hold; L011 if a file of a run
            is missing or not as recorded; E104 if the contract's layout defeats an edit.
    """
    for given in ("source", "label", "key", "delimiter", "schema"):
        if getattr(arguments, given):
            what = f"--from takes the contract of a run as it is, and no {given}"
            raise AssayError("C012", what, fix="assay init --from RUN [-o FILE]")
    output = Path(arguments.output or "contract.yaml")
    atomic.refuse_existing(output, "contract", force=arguments.force)
    store = Store(config.store_folder(arguments.store))
    store.require()
    trust.require_whole(store)
    run = history.reviewed(store, store.find(arguments.run))
    revision = revise.revise(run, history.past(store, run))
    text = _headed(revision, run.entry.seq)
    _require(text, run, revision)
    atomic.write_output(output, text.encode())
    _tell(arguments, output, run, revision)
    return 0


def _headed(revision: Revision, number: int) -> str:
    first, rest = revision.text.partition("\n")[::2]
    many = len(revision.changes)
    told = f"# Revised by `assay init --from {number}`: {many} rules, with the reason above each.\n"
    is_modeline = first.startswith(MODELINE)
    return f"{first}\n{told}{rest}" if is_modeline else told + revision.text


def _require(text: str, run: Reviewed, revision: Revision) -> None:
    """Refuse a text that does not load, or that says anything else than was meant."""
    from checks.contract import loader

    home = Path(run.entry.facts["contract"]["path"]).parent
    with tempfile.TemporaryDirectory(prefix="assay-init-") as folder:
        path = Path(folder) / "contract.yaml"
        path.write_text(text, encoding="utf-8")
        made = loader.load(path, root=Path("/"), home=home)
    wanted = revise.expected(run.contract.rules, revision.changes)
    revise.require(made.rules, wanted)


def _tell(arguments: argparse.Namespace, output: Path, run: Reviewed, revision: Revision) -> None:
    home, notes = Path(run.entry.facts["contract"]["path"]).parent, list(revision.notes)
    if output.absolute().parent.resolve() != home.resolve():
        notes.append(f"its paths are relative to {home}, where the run's contract lay")
    changes = [
        {"column": item.rule.column, "rule": item.rule.id, "does": item.does, "why": item.why}
        for item in revision.changes
    ]
    if arguments.json:
        whole = {"schema": "assay.init/1", "contract": str(output), "run": run.entry.seq,
                 "changes": changes, "notes": notes}  # fmt: skip
        sys.stdout.write(json.dumps(whole) + "\n")
        return
    decided = f"{len(run.released)} rows released, {len(run.rejected)} rejected"
    lines = [f"looked at run {run.entry.seq}: {decided}", f"wrote {output}"]
    lines += [f"  {c['does']} {c['rule']} of '{c['column']}' ({c['why']})" for c in changes]
    lines += [f"  {note}" for note in notes] if notes else []
    lines += [] if changes else ["  no rule changed"]
    lines += [f"next: read it, then `assay run {shlex.quote(str(output))}`"]
    sys.stdout.writelines(f"{printable(line)}\n" for line in lines)
