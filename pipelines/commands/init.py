"""`assay init`: write a first contract from a source, one that passes on that source.

With `--from RUN` it revises the contract of a run (`revise_command`). With `--schema` it writes
the JSON Schema of contracts instead, so that an editor completes them.
"""

import argparse
import json
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any

from pipelines.run import reading
from provenance.base import atomic
from provenance.base.errors import AssayError, printable
from provenance.files import remote
from provenance.readers import csv_dialect
from provenance.rows.snapshot import Snapshot


def main(arguments: argparse.Namespace) -> int:
    """Read the source, propose a contract, write it, say what needs a person's eye."""
    if arguments.run:
        from pipelines.commands import init_from_run

        return init_from_run.main(arguments)
    if arguments.schema:
        return _write_schema(arguments)
    if not arguments.source:
        what = "there is no source to make a contract from"
        raise AssayError("C012", what, fix="assay init SOURCE, --from RUN or --schema")
    from pipelines.proposal import propose

    output = Path(arguments.output or "contract.yaml")
    atomic.refuse_existing(output, "contract", force=arguments.force)
    delimiter = _delimiter(arguments.delimiter)
    with tempfile.TemporaryDirectory(prefix="assay-init-") as folder:
        seen = _read(arguments.source, folder, delimiter)
        snapshot = Snapshot.load(Path(seen["snapshot"]))
        shown = remote.shown(arguments.source)
        text, summary = propose.propose(
            snapshot,
            name=Path(shown.rstrip("/")).name.split(".")[0] or "dataset",
            label=arguments.label,
            key=arguments.key,
            source=arguments.source,
            contract_folder=output.absolute().parent,
            dialect=csv_dialect.Dialect(**seen["dialect"]),
        )
    atomic.write_output(output, text.encode())
    if arguments.json:
        whole = {"schema": "assay.init/1", "contract": str(output), **summary}
        sys.stdout.write(json.dumps(whole, default=str) + "\n")
    else:
        sys.stdout.write(f"read {snapshot.rows:,} rows of {len(snapshot.sources)} file(s)\n")
        sys.stdout.write(printable(f"wrote {output}") + "\n")
        sys.stdout.writelines(f"  {printable(line)}\n" for line in summary.get("notes", []))
        words = shlex.join(["assay", "run", str(output), "--source", shown])
        sys.stdout.write(printable(f"next: read it, then `{words}`") + "\n")
    return 0


def _write_schema(arguments: argparse.Namespace) -> int:
    """Write the JSON Schema to the file, or to stdout."""
    from checks.contract.json_schema import json_schema

    for given in ("source", "label", "key"):
        if getattr(arguments, given):
            what = f"--schema is the same for every dataset and takes no {given}"
            raise AssayError("C012", what, fix="assay init --schema [-o FILE]")
    text = json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"
    if not arguments.output:
        sys.stdout.write(text)
        return 0
    output = Path(arguments.output)
    atomic.refuse_existing(output, "schema", force=arguments.force)
    atomic.write_output(output, text.encode())
    if arguments.json:
        facts = {"schema": "assay.init/1", "json_schema": str(output)}
        sys.stdout.write(json.dumps(facts) + "\n")
    else:
        sys.stdout.write(printable(f"wrote {output}") + "\n")
        sys.stdout.write("editors complete a contract beside it that begins with\n")
        sys.stdout.write(printable(f"  # yaml-language-server: $schema={output.name}") + "\n")
    return 0


def _delimiter(given: str | None) -> str | None:
    """Return the delimiter that was named, None for none; a tab may be written in two letters."""
    char = "\t" if given == "\\t" else given
    if char is not None and not csv_dialect.may_delimit(char):
        what = "--delimiter is no character that tells cells apart"
        raise AssayError("C012", what, fix='one such as ";" or "|"; a tab is "\\t"')
    return char


def _read(source: str, folder: str, delimiter: str | None) -> Any:
    """Read the source in a child under the default limits; its imports run beside ours."""
    child = reading.started("read_bare")
    try:
        from pipelines.proposal import propose  # noqa: F401  # slow, and needed next

        return reading.ask(
            child, reading.SECONDS, source=source, folder=folder, delimiter=delimiter
        )
    finally:
        child.stop()
