"""Reads the digest recorded next to a file: `data.csv.sha256`, as `sha256sum` writes it.

Most formats have no checksum that covers every byte. If a digest was recorded, a file that differs
from it is refused, and one that matches needs no warning.
"""

import os
import re
from pathlib import Path
from shlex import quote

from provenance.base.errors import AssayError
from provenance.base.limits import Limits
from provenance.files.safe_open import Opened

SUFFIX = ".sha256"
_LIMITS = Limits(max_bytes=1 << 20)
_LINE = re.compile(r"(?P<hex>[0-9a-fA-F]{64})(?:\s+\*?(?P<name>\S.*))?")


def recorded(path: str) -> str | None:
    """Return the digest recorded next to a file, in lower-case hex; None if there is none.

    Raises:
        AssayError: ASSAY-I005 if the `.sha256` file holds no digest of this file; I006, I010, I011
            or I014 if it cannot be opened.
    """
    recorded_in = path + SUFFIX
    if not os.path.lexists(recorded_in):
        return None
    with Opened(recorded_in, _LIMITS) as file:
        text = file.read(_LIMITS.max_bytes).decode("utf-8", "replace")
    lines = [_LINE.fullmatch(line.strip()) for line in text.splitlines() if line.strip()]
    named = [line for line in lines if line and Path(line["name"] or "").name == Path(path).name]
    found = named or [line for line in lines if line and len(lines) == 1 and not line["name"]]
    if len(found) != 1:
        what = "the checksum file contains no digest of the file"
        fix = (
            f"record it again: sha256sum {quote(Path(path).name)} > {quote(Path(recorded_in).name)}"
        )
        raise AssayError("I005", what, where=recorded_in, fix=fix)
    return str(found[0]["hex"]).lower()


def refuse_other(path: str, digest: str, wanted: str | None) -> None:
    """Refuse a file whose digest differs from the recorded one (ASSAY-I005)."""
    if wanted is not None and digest != wanted:
        what = f"sha256 is {digest}, but {Path(path).name}{SUFFIX} says {wanted}"
        fix = "restore the file from its origin, or record its digest again"
        raise AssayError("I005", what, where=path, fix=fix)
