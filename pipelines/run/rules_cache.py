"""The rules of known contracts, kept in the user's cache folder, so that runs start sooner.

    CACHE/assay/rules/KEY     what `contract_rules.run_rules` returned as `made`: JSON, sealed
KEY is the digest of the contract, its name in messages, Assay's own code, and the versions of the
libraries. The seal's secret is derived from the signing key: whoever can merely write there cannot
have another condition run. What is absent, altered or of another key is made anew, and a run never
fails because nothing can be kept.
"""

import contextlib
import dataclasses
import hashlib
import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines import config
from pipelines.checking.sealed import SealedFolder
from pipelines.store import keys
from pipelines.store.staged_contract import StagedContract
from provenance.base import atomic, own_code
from provenance.base.errors import AssayError

PURPOSE = "rules"
MAX_BYTES = 64 << 20  # of one contract
MAX_AGE = 30 * 86_400.0  # seconds after which what no run has used is removed
MAX_FILES = 200
FORMAT = 1
_LIBRARIES = ("great-expectations", "duckdb", "duckdb-engine", "sqlalchemy", "jinja2")
_NAME = re.compile(r"[0-9a-f]{64}(\.[0-9a-f]{32})?")


@dataclasses.dataclass(slots=True)
class CachedRules:
    """The place of one contract's rules.

    Attributes:
        contract: the staged one.
        known: what an earlier run kept, None if nothing; absent before `find`.
    """

    contract: StagedContract
    known: dict[str, Any] | None = None
    _key: str = ""

    def find(self) -> bool:
        """Look up what is kept; return whether there is anything."""
        used = [own_code.facts(), own_code.versions(_LIBRARIES)]
        facts = [FORMAT, self.contract.sha256, self.contract.name, *used]
        self._key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        try:
            folder = _folder() if keys.is_there() else None
            content = folder.content(self._key, most=MAX_BYTES) if folder else b""
            self.known = json.loads(content) if content else None
            if folder:
                (folder.path / self._key).touch()  # what is used is not swept
        except (OSError, AssayError, ValueError):
            self.known = None
        return self.known is not None

    def keep(self, made: Mapping[str, Any] | None) -> None:
        """Keep what a run made, if it made anything new; call `find` before."""
        if made is None:
            return
        content = json.dumps(made).encode()
        with contextlib.suppress(OSError, AssayError):
            if len(content) <= MAX_BYTES and (folder := _folder(make=True)):
                _sweep(folder.path)
                folder.put(self._key, content)


def _folder(*, make: bool = False) -> SealedFolder | None:
    """Return the folder, None if the user has no home; `make` it, and the key of its seals."""
    cache = config.user_folder("XDG_CACHE_HOME", "~/.cache")
    if not cache:
        return None
    path = cache / "assay" / "rules"
    if make:
        atomic.make_folders(path)
        path.chmod(0o700)
    return SealedFolder(path, PURPOSE, keys.own(make=make).derived(PURPOSE))


def _sweep(folder: Path) -> None:
    """Remove what no run has used for long, and the oldest beyond a number."""
    ages = []
    for path in folder.iterdir():
        with contextlib.suppress(OSError):  # another run may be removing it
            if _NAME.fullmatch(path.name) and not path.is_symlink():
                ages.append((time.time() - path.stat().st_mtime, path))
    for number, (age, path) in enumerate(sorted(ages)):
        if age > MAX_AGE or number >= MAX_FILES:
            path.unlink(missing_ok=True)
