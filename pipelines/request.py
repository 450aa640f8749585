"""What a command line asks for, and the files that it names, before anything is made."""

import dataclasses
import datetime as dt
import os
from pathlib import Path
from typing import Literal

from checks.kit.contract import Contract
from provenance.errors import AssayError


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """What a command line asks for."""

    contract: Path
    store: Path
    source: str | None = None
    reference: str | None = None
    engine: str = "auto"
    dask_address: str | None = None
    direct: bool = False
    fail_on: Literal["error", "warning"] | None = None
    debug: bool = False
    source_name: str | None = None  # as messages and the ledger call a source of one file


def prepare(request: Request) -> tuple[Contract, tuple[str, ...], str | None]:
    """Load the contract and find the files, before anything is made."""
    from checks.kit import loader

    contract = loader.load(request.contract)
    source = request.source or contract.source
    if not source:
        what = f"{request.contract} names no source"
        raise AssayError("C012", what, fix="give --source PATH, or a path under `servers`")
    reference = request.reference or contract.reference
    if reference:
        _read_for(contract, expand(reference), is_named=bool(request.reference))
    if contract.test_set:
        _read_for(contract, expand(contract.test_set), is_named=False)
    paths = _read_for(contract, expand(source), is_named=bool(request.source))
    return contract, tuple(paths), reference


def _read_for(contract: Contract, paths: list[str], *, is_named: bool) -> list[str]:
    """Return the files; C010 if the contract, and not a person, named one outside its root.

    The loader has seen the path as it is written; a wildcard or a folder may lead on through links.
    A URL is an object store's, as the loader has seen, and lies below no folder.
    """
    from provenance import remote

    for path in () if is_named else paths:
        if not remote.is_url(path) and not Path(path).resolve().is_relative_to(contract.root):
            what = f"a link leads from the contract's paths out of its root: {path}"
            fix = "copy the file below the root, or name it on the command line"
            raise AssayError("C010", what, where=contract.path, fix=fix)
    return paths


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the second."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def expand(source: str) -> list[str]:
    """Return the files of a source; I014 and its like if there is none.

    A URL of a store comes back as it is: the child that reads it asks the store, under its limits.
    """
    from provenance import ingest, remote

    if remote.is_url(source) and remote.local_path(source) is None:
        return [source]
    paths = ingest.expand(source)
    for path in paths:
        if not os.path.lexists(path):
            raise AssayError("I014", "no such file", where=path, fix="check the path")
    return paths
