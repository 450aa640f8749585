"""What a contract names beside itself: digests that tell whether a verdict still speaks of it.

A deny list is personal data, so its digest is keyed and tells nothing to who guesses at names. A
model is told by the names, sizes and times of its files, or by its package's version: another copy
only costs a new run.
"""

import hashlib
import hmac
import os
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from checks.kit.contract import Contract
from provenance import no_follow
from provenance.errors import AssayError
from provenance.sign import Signer

PURPOSE = "beside"


def digests(contract: Contract, signer: Callable[[], Signer]) -> dict[str, str]:
    """Return a digest by the name of each option; empty where none names a file.

    Raises:
        AssayError: ASSAY-K003 if one of them cannot be read; the codes of any source for a test
            set.
    """
    found = _test_set(contract)
    options = {} if contract.is_off("pii") else contract.options("pii")
    try:
        if file := options.get("deny_file"):
            key = signer().derived(PURPOSE)
            with os.fdopen(no_follow.open_file(file, flags=no_follow.FOLLOWED), "rb") as listed:
                found["pii.deny_file"] = hmac.digest(key, listed.read(), "sha256").hex()
        if model := options.get("model"):
            found["pii.model"] = hashlib.sha256(_listing(str(model)).encode()).hexdigest()
    except OSError as error:
        name = "deny_file" if error.filename == options.get("deny_file") else "model"
        what = f"assay.checks.pii.{name} cannot be read"
        raise AssayError("K003", what, where=contract.path) from error
    return found


def known(contract: Contract, signer: Callable[[], Signer]) -> dict[str, str]:
    """Return what `digests` does, empty where one cannot be read.

    The check that needs it says so, and the run fails.
    """
    try:
        return digests(contract, signer)
    except AssayError as error:
        if error.code != "ASSAY-K003":
            raise
        return {}


def _test_set(contract: Contract) -> dict[str, str]:
    from pipelines.reading import source_limits
    from provenance import guard, ingest, lake

    if not contract.test_set:
        return {}
    whole = hashlib.sha256()
    for name in ingest.expand(contract.test_set):
        if lake.is_table(name):  # whose version tells it apart
            whole.update(lake.pinned(name, name).encode())
            continue
        with guard.Opened(name, source_limits(contract)) as file:
            whole.update(file.digest().encode())
    return {"duplicates.test": whole.hexdigest()}


def _listing(model: str) -> str:
    folder = Path(model)
    if not folder.is_absolute():
        try:
            return f"{model} {metadata.version(model)}"
        except metadata.PackageNotFoundError:
            return model
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    facts = [(path.relative_to(folder).as_posix(), path.stat()) for path in files]
    return "\n".join(f"{name} {fact.st_size} {fact.st_mtime_ns}" for name, fact in facts)
