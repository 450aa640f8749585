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
        expand(reference)
    return contract, tuple(expand(source)), reference


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
