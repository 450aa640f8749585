"""The file that `assay init` writes: never over another one unasked, and whole or not at all."""

import os
from pathlib import Path

from provenance.base import atomic
from provenance.base.errors import AssayError


def refuse_existing(output: Path, kind: str, *, force: bool) -> None:
    """Refuse to write over a file; C012 unless that was asked for."""
    if output.exists() and not force:
        what = f"the {kind} exists already"
        raise AssayError("C012", what, where=str(output), fix="give another -o FILE, or --force")


def write(path: Path, text: str) -> None:
    """Write a text; ASSAY-E003 if that cannot be."""
    try:
        atomic.write_over(path, text.encode())
    except OSError as error:
        what = f"the file cannot be written: {os.strerror(error.errno or 0)}"
        raise AssayError("E003", what, where=str(path), fix="give another -o FILE") from error
