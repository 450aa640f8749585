"""Reading: the child process that alone touches untrusted data, under limits.

Only paths and small facts go in and out; a source comes out as the folder of a snapshot.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from checks.kit.contract_model import Contract, Rule
from pipelines.run.child_process import Child
from pipelines.store import staged_contract
from provenance.base.errors import AssayError
from provenance.base.limits import Limits
from provenance.rows.snapshot import Snapshot

MEMORY = 8 << 30  # bytes of address space for the child
SECONDS = 3_600.0
ROLES = {"reference": "the reference", "test": "the test set of duplicates"}
WARM = ("provenance.readers.ingest",)  # what the child imports at once
_CRASHES = ("SIGABRT", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL")
# limits of the contract that do not concern the source
_OTHERS = ("max_memory_bytes", "ingest_seconds", "check_seconds")


def started(function: str, memory: int = MEMORY) -> Child:
    """Start a child for one of the functions below; its imports begin at once."""
    return Child(f"{__name__}:{function}", warm=WARM, memory=memory)


def ask(child: Child, timeout: float, **arguments: Any) -> Any:
    """Let the child read and wait for its `answer`."""
    child.ask(**arguments)
    return answer(child, timeout)


def look(child: Child, timeout: float) -> None:
    """Wait until the first blocks are in, or all of a smaller source.

    Raises:
        AssayError: as `answer`; the seconds that pass here count for its `timeout`, too.
    """
    with _crash_blamed(child):
        child.begun(timeout)


def answer(child: Child, timeout: float) -> Any:
    """Return what the function of a child that was asked returns.

    Raises:
        AssayError: the code that the reading refuses with; ASSAY-I005 if a library that decodes
            the source crashed on it, E005 if the child was killed, K002 after `timeout` seconds.
    """
    with _crash_blamed(child):
        return child.answer(timeout)


@contextlib.contextmanager
def _crash_blamed(child: Child) -> Iterator[None]:
    """Report the crash of a library as the source's fault."""
    try:
        yield
    except AssayError:
        if child.died_of not in _CRASHES:
            raise
        what = f"the library that decodes the source crashed on it ({child.died_of})"
        fix = "leave the file out and check where it came from: it may be malicious"
        raise AssayError("I005", what, fix=fix) from None


def read_sources(
    contract: str | Mapping[str, str],
    sources: list[str],
    reference: list[str],
    folder: str,
    name: str | None = None,
    *,
    begun: Callable[[], object] = lambda: None,
) -> str:
    """Read the source, the reference and the test set; runs in a child process with limits.

    Args:
        contract: see `staged_contract.loaded`.
        sources: files, in order; URLs as they are.
        reference: the same, none if there is none.
        folder: gets a snapshot of each role.
        name: what a source of one file is called instead of its path.
        begun: called once the first blocks of a role are read, if there is more than one.

    Returns:
        The digest of the contract that the child parsed.
    """
    from provenance.readers import ingest

    parsed = staged_contract.loaded(contract)
    specs = tuple(column.spec for column in parsed.columns)
    limits = source_limits(parsed)
    empty = any(_allows_empty(rule) for rule in parsed.rules)
    sources = _listed(sources)
    with blamed_on("reference"):
        reference = _listed(reference)
    places = {"source": Path(folder) / "source"}
    places["source"].mkdir(parents=True)
    with _named(sources[0], name, places["source"]):
        ingest.ingest(
            sources, specs, places["source"], limits=limits, dialect=parsed.csv,
            allow_empty=empty, begun=begun,
        )  # fmt: skip
    with blamed_on("test"):
        test = _listed(ingest.expand(parsed.test_set)) if parsed.test_set else []
    for role, files in (("reference", reference), ("test", test)):
        if files:
            places[role] = Path(folder) / role
            places[role].mkdir()
            with blamed_on(role):
                ingest.ingest(
                    files, specs, places[role], limits=limits, dialect=parsed.csv, begun=begun
                )
    return parsed.sha256


@contextlib.contextmanager
def blamed_on(role: str) -> Iterator[None]:
    """Make a refusal say that the reference or the test set, not the source, cannot be read."""
    try:
        yield
    except AssayError as error:
        error.what = f"{ROLES[role]}: {error.what}"
        raise


@contextlib.contextmanager
def _named(path: str, name: str | None, folder: Path) -> Iterator[None]:
    """Make messages and records call a file by its name instead of its path."""
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

    The delimiter of a CSV is detected unless it is given.
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
    """Return the files of sources; the local ones are listed already."""
    from provenance.files import listing, remote

    return [
        file
        for source in sources
        for file in (listing.expand(source) if remote.is_url(source) else [source])
    ]


def seconds_for(contract: Contract) -> float:
    """Return how long the reading may take."""
    return float(contract.limits.get("ingest_seconds", SECONDS))


def source_limits(contract: Contract) -> Limits:
    """Return the limits on a source: the defaults, with the contract's own in their place."""
    given = {key: item for key, item in contract.limits.items() if key not in _OTHERS}
    return Limits.of(given)


def _allows_empty(rule: Rule) -> bool:
    from checks.rules import suite  # the parent needs none of it

    return rule.kind == "rowCount" and suite.within(0, rule.params["bound"])
