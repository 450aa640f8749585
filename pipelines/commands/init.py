"""`assay init`: propose a contract from a source.

With `--from RUN` it revises the contract of a run instead (`init_from_run`); with `--schema` it
writes the JSON Schema of contracts, for editors.
"""

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from checks.kit.wording import count
from pipelines.run import reading
from provenance.base import atomic
from provenance.base.errors import AssayError, printable
from provenance.files import remote
from provenance.readers import csv_dialect
from provenance.rows.snapshot import Snapshot


def main(arguments: argparse.Namespace) -> int:
    """Propose or revise a contract, or write the schema of contracts."""
    if arguments.run:
        from pipelines.commands import init_from_run

        return init_from_run.main(arguments)
    if arguments.schema:
        return _write_schema(arguments)
    if not arguments.source:
        what = "no source given to propose a contract from"
        fix = "give a SOURCE, --from RUN or --schema; see `assay init --help`"
        raise AssayError("C012", what, fix=fix)
    return _propose(arguments)


def refuse_combined(
    arguments: argparse.Namespace, option: str, others: Iterable[str], why: str
) -> None:
    """Refuse arguments that `option` makes meaningless; C012."""
    for other in others:
        if getattr(arguments, other):
            name = "a SOURCE" if other == "source" else f"--{other}"
            what = f"{option} cannot be combined with {name}: {why}"
            raise AssayError("C012", what, fix=f"run `assay init {option} [-o FILE]`")


def _propose(arguments: argparse.Namespace) -> int:
    """Read the source, propose a contract, write it, and say what needs review."""
    from pipelines.proposal import propose

    path = Path(arguments.output or "contract.yaml")
    atomic.refuse_existing(path, "contract", force=arguments.force)
    delimiter = _delimiter(arguments.delimiter)
    shown = remote.shown(arguments.source)
    with tempfile.TemporaryDirectory(prefix="assay-init-") as folder:
        seen = _read(arguments.source, folder, delimiter)
        snapshot = Snapshot.load(Path(seen["snapshot"]))
        text, summary = propose.propose(
            snapshot,
            name=Path(shown.rstrip("/")).name.split(".")[0] or "dataset",
            label=arguments.label,
            key=arguments.key,
            source=arguments.source,
            contract_folder=path.absolute().parent,
            dialect=csv_dialect.Dialect(**seen["dialect"]),
            trust=arguments.trust,
        )
    atomic.write_output(path, text.encode())
    if arguments.json:
        whole = {"schema": "assay.init/1", "contract": str(path), **summary}
        sys.stdout.write(json.dumps(whole, default=str) + "\n")
        return 0
    files = count(len(snapshot.sources), "file")
    run = shlex.join(["assay", "run", str(path), "--source", shown])
    print_lines(
        [f"read {snapshot.rows:,} rows from {files}", f"wrote {path}"]
        + [f"  {note}" for note in summary["notes"]]
        + [f"next: review it, then `{run}`"]
    )
    return 0


def print_lines(lines: Iterable[str]) -> None:
    """Print lines on stdout, escaped."""
    sys.stdout.writelines(f"{printable(line)}\n" for line in lines)


def _write_schema(arguments: argparse.Namespace) -> int:
    """Write the JSON Schema of contracts to a file, or to stdout."""
    from checks.contract.json_schema import json_schema

    why = "one schema serves every dataset"
    refuse_combined(arguments, "--schema", ("source", "label", "key", "trust"), why)
    text = json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"
    if not arguments.output:
        sys.stdout.write(text)
        return 0
    path = Path(arguments.output)
    atomic.refuse_existing(path, "schema", force=arguments.force)
    atomic.write_output(path, text.encode())
    if arguments.json:
        facts = {"schema": "assay.init/1", "json_schema": str(path)}
        sys.stdout.write(json.dumps(facts) + "\n")
        return 0
    print_lines([
        f"wrote {path}",
        "an editor completes any contract in the same folder whose first line is",
        f"  # yaml-language-server: $schema={path.name}",
    ])  # fmt: skip
    return 0


def _delimiter(given: str | None) -> str | None:
    r"""Return the given delimiter, None for none; `\t` stands for a tab."""
    char = "\t" if given == "\\t" else given
    if char is not None and not csv_dialect.may_delimit(char):
        what = "--delimiter must be a single character that can separate cells"
        raise AssayError("C012", what, fix='give one such as ";" or "|"; write "\\t" for a tab')
    return char


def _read(source: str, folder: str, delimiter: str | None) -> Any:
    """Read the source in a child under the default limits; both processes import meanwhile."""
    child = reading.started("read_bare")
    try:
        from pipelines.proposal import propose  # noqa: F401  # slow, and needed next

        return reading.ask(
            child, reading.SECONDS, source=source, folder=folder, delimiter=delimiter
        )
    finally:
        child.stop()
