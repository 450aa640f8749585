"""`assay init`: write a first contract from a source, one that passes on that source."""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from pipelines import reading
from provenance import remote
from provenance.dialect import Dialect
from provenance.errors import AssayError
from provenance.snapshot import Snapshot


def main(arguments: argparse.Namespace) -> int:
    """Read the source, propose a contract, write it, say what needs a person's eye."""
    from pipelines import init

    output = Path(arguments.output)
    if output.exists() and not arguments.force:
        what = "the contract exists already"
        raise AssayError("C012", what, where=str(output), fix="give another -o FILE, or --force")
    with tempfile.TemporaryDirectory(prefix="assay-init-") as folder:
        seen = _read(arguments.source, folder)
        snapshot = Snapshot.load(Path(seen["snapshot"]))
        shown = remote.shown(arguments.source)
        text, summary = init.propose(
            snapshot,
            name=Path(shown.rstrip("/")).name.split(".")[0] or "dataset",
            label=arguments.label,
            key=arguments.key,
            source=arguments.source,
            contract_folder=output.absolute().parent,
            dialect=Dialect(**seen["dialect"]),
        )
    _write(output, text)
    if arguments.json:
        whole = {"schema": "assay.init/1", "contract": str(output), **summary}
        sys.stdout.write(json.dumps(whole, default=str) + "\n")
    else:
        sys.stdout.write(f"read {snapshot.rows:,} rows of {len(snapshot.sources)} file(s)\n")
        sys.stdout.write(f"wrote {output}\n")
        sys.stdout.writelines(f"  {line}\n" for line in summary.get("notes", []))
        sys.stdout.write(f"next: read it, then `assay run {output} --source {shown}`\n")
    return 0


def _read(source: str, folder: str) -> Any:
    """Read the source in a child under the default limits; its imports run beside ours."""
    child = reading.started("read_bare")
    try:
        from pipelines import init  # noqa: F401  # slow, and needed next

        return reading.ask(child, reading.SECONDS, source=source, folder=folder)
    finally:
        child.stop()


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        what = f"the contract cannot be written: {os.strerror(error.errno or 0)}"
        raise AssayError("E003", what, where=str(path), fix="give another -o FILE") from error
