"""`assay init`: write a first contract from a source, one that passes on that source."""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from provenance import ingest
from provenance.errors import AssayError


def main(arguments: argparse.Namespace) -> int:
    """Read the source, propose a contract, write it, say what needs a person's eye."""
    from pipelines import init

    output = Path(arguments.output)
    if output.exists() and not arguments.force:
        what = "the contract exists already"
        raise AssayError("C012", what, where=str(output), fix="give another -o FILE, or --force")
    paths = ingest.expand(arguments.source)
    with tempfile.TemporaryDirectory(prefix="assay-init-") as folder:
        limits = ingest.Limits.of({})
        dialect = ingest.seen_dialect(paths[0], limits)
        snapshot = ingest.ingest(paths, None, Path(folder), limits=limits, dialect=dialect)
        text, summary = init.propose(
            snapshot,
            name=Path(arguments.source.rstrip("/")).name.split(".")[0] or "dataset",
            label=arguments.label,
            key=arguments.key,
            source=arguments.source,
            contract_folder=output.absolute().parent,
            dialect=dialect,
        )
    _write(output, text)
    if arguments.json:
        whole = {"schema": "assay.init/1", "contract": str(output), **summary}
        sys.stdout.write(json.dumps(whole, default=str) + "\n")
    else:
        sys.stdout.write(f"read {snapshot.rows:,} rows of {len(paths)} file(s)\n")
        sys.stdout.write(f"wrote {output}\n")
        sys.stdout.writelines(f"  {line}\n" for line in summary.get("notes", []))
        sys.stdout.write(f"next: read it, then `assay run {output} --source {arguments.source}`\n")
    return 0


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        what = f"the contract cannot be written: {os.strerror(error.errno or 0)}"
        raise AssayError("E003", what, where=str(path), fix="give another -o FILE") from error
