"""Reading: what runs in the child process that alone touches untrusted data, under limits.

Only paths and small facts go in and out; a source comes out as a snapshot's folder.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from checks.kit.contract_model import Contract, Rule
from checks.rules import suite
from pipelines.run.child_process import Child
from pipelines.store import staged_contract
from provenance.base.errors import AssayError
from provenance.base.limits import Limits
from provenance.rows.snapshot import Snapshot

MEMORY = 8 << 30  # bytes of address space for the child
SECONDS = 3_600.0
ROLES = {"reference": "the reference", "test": "the test set of duplicates"}
WARM = ("provenance.readers.ingest",)  # what the child imports before it is asked
_CRASHES = ("SIGABRT", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL")
# limits of the contract that are not the source's own
_OTHERS = ("max_memory_bytes", "ingest_seconds", "check_seconds")


def started(function: str, memory: int = MEMORY) -> Child:
    """Start the child for one of the functions below; its imports begin at once."""
    return Child(f"{__name__}:{function}", warm=WARM, memory=memory)


def ask(child: Child, timeout: float, **arguments: Any) -> Any:
    """Let the child read; returns what its function does.

    Raises:
        AssayError: what the reading refuses with; ASSAY-I005 if a library that decodes the source
            crashed over it, E005 if the child was killed, K002 after `timeout` seconds.
    """
    try:
        return child.call(timeout=timeout, **arguments)
    except AssayError:
        if child.died_of not in _CRASHES:
            raise
        what = f"the library that decodes the source crashed over it ({child.died_of})"
        fix = "leave it out, and look at where it came from: it may be made to do harm"
        raise AssayError("I005", what, fix=fix) from None


def read_sources(
    contract: str | Mapping[str, str],
    sources: list[str],
    reference: list[str],
    folder: str,
    name: str | None = None,
) -> str:
    """Read the source, the reference and the test set; runs in a child process with limits.

    Args:
        contract: see `staged_contract.loaded`.
        sources: files, in order; URLs as they are.
        reference: the same, none if there is none.
        folder: holds a snapshot for each role afterwards.
        name: what a source of one file is called instead of its path.

    Returns:
        The digest of the contract that was read by.
    """
    from provenance.readers import ingest

    promised = staged_contract.loaded(contract)
    specs = tuple(column.spec for column in promised.columns)
    limits = source_limits(promised)
    empty = any(_allows_empty(rule) for rule in promised.rules)
    sources = _listed(sources)
    with told_of("reference"):
        reference = _listed(reference)
    places = {"source": Path(folder) / "source"}
    places["source"].mkdir(parents=True)
    with _named(sources[0], name, places["source"]):
        ingest.ingest(
            sources, specs, places["source"], limits=limits, dialect=promised.csv, allow_empty=empty
        )
    with told_of("test"):
        test = _listed(ingest.expand(promised.test_set)) if promised.test_set else []
    for role, files in (("reference", reference), ("test", test)):
        if files:
            places[role] = Path(folder) / role
            places[role].mkdir()
            with told_of(role):
                ingest.ingest(files, specs, places[role], limits=limits, dialect=promised.csv)
    return promised.sha256


@contextlib.contextmanager
def told_of(role: str) -> Iterator[None]:
    """Let a refusal say that it is not the source which cannot be read, but what stands by it."""
    try:
        yield
    except AssayError as error:
        error.what = f"{ROLES[role]}: {error.what}"
        raise


@contextlib.contextmanager
def _named(path: str, name: str | None, folder: Path) -> Iterator[None]:
    """Let what is told and recorded of a file call it by its name."""
    try:
        yield
    except AssayError as error:
        error.where = name if name and error.where == path else error.where
        raise
    if name:
        read = Snapshot.load(folder / "snapshot.json")
        sources = tuple(dataclasses.replace(source, name=name) for source in read.sources)
        warnings = tuple(
            dataclasses.replace(item, where=name) if item.where == path else item
            for item in read.warnings
        )
        dataclasses.replace(read, sources=sources, warnings=warnings).save()


def read_bare(source: str, folder: str, delimiter: str | None = None) -> dict[str, Any]:
    """Read a source without a contract, all of it as text; runs in a child process with limits.

    A CSV's `delimiter` is looked for, unless it is given.
    """
    from provenance.readers import ingest

    Path(folder).mkdir(exist_ok=True)
    files, limits = _listed(ingest.expand(source)), Limits()
    dialect = ingest.detect_dialect(files[0], limits, Path(folder), delimiter)
    read = ingest.ingest(files, None, Path(folder) / "as-read", limits=limits, dialect=dialect)
    return {
        "snapshot": str(Path(read.folder) / "snapshot.json"),
        "dialect": dataclasses.asdict(dialect),
    }


def _listed(sources: list[str]) -> list[str]:
    """Return the files of sources, of which the local ones are listed already."""
    from provenance.files import remote
    from provenance.readers import ingest

    return [
        file
        for source in sources
        for file in (ingest.expand(source) if remote.is_url(source) else [source])
    ]


def source_limits(contract: Contract) -> Limits:
    """Return what a source may hold: the defaults, and what the contract raises."""
    given = {key: item for key, item in contract.limits.items() if key not in _OTHERS}
    return Limits.of(given)


def _allows_empty(rule: Rule) -> bool:
    return rule.kind == "rowCount" and suite.within(0, rule.params["bound"])
