"""The file that `assay init` writes."""

import os
from pathlib import Path

from provenance.base import atomic
from provenance.base.errors import AssayError


def write(path: Path, text: str) -> None:
    """Write a text completely or not at all; ASSAY-E003 if that fails."""
    try:
        atomic.write_over(path, text.encode())
    except OSError as error:
        what = f"the file cannot be written ({os.strerror(error.errno or 0)})"
        raise AssayError("E003", what, where=str(path), fix="name another file with -o") from error
