"""What a run is asked to do, the files that this names, and where the run's own files go."""

import dataclasses
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from checks.contract.yaml_reader import Document
from checks.kit.contract_model import Contract, Policy
from provenance.base.errors import AssayError
from provenance.rows.snapshot import Snapshot

if TYPE_CHECKING:
    from pipelines.store.reference_anchor import Standing


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """What a command line, or a caller of `assay.run`, asks for.

    Attributes:
        source: path, folder, glob or URL, or several; None for the contract's own.
        share: who may use a store that this run makes: `private` or `group`.
        checkpoint: file that the ledger must hold against.
        source_name: what messages and the ledger call a source of one file.
    """

    contract: Path
    store: Path
    source: str | tuple[str, ...] | None = None
    reference: str | None = None
    engine: str = "auto"
    dask_address: str | None = None
    direct: bool = False
    fail_on: Literal["error", "warning"] | None = None
    debug: bool = False
    share: str | None = None
    checkpoint: str | None = None
    source_name: str | None = None

    def policy(self, contract: Contract) -> Policy:
        """Return the contract's policy, with what this request sets in its place."""
        policy = contract.policy
        return dataclasses.replace(policy, fail_on=self.fail_on) if self.fail_on else policy


@dataclasses.dataclass(frozen=True, slots=True)
class Prepared:
    """The contract and the files of a request.

    Attributes:
        document: the bytes that the contract was parsed from.
        sources, reference: the files, in order; a URL of an object store unchanged.
        anchor: the dataset's standing reference; `is_anchored`: whether this run uses it.
    """

    contract: Contract
    document: Document
    sources: tuple[str, ...]
    reference: tuple[str, ...]
    anchor: "Standing"
    is_anchored: bool

    def require_anchored(self, read: Iterable[Mapping[str, str]]) -> None:
        """Refuse (ASSAY-I013) a reference whose bytes, as read, are not what the anchor names."""
        if not self.is_anchored or self.anchor.entry is None:
            return
        named = [file["sha256"] for file in self.anchor.entry.facts["files"]]
        if [file["sha256"] for file in read] != named:
            what = "the reference changed after it was compared with the anchor"
            where = f"entry {self.anchor.entry.seq}"
            raise AssayError("I013", what, where=where, fix="run `assay verify`")


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """Where a run reads and writes: paths and names only, since tables do not travel.

    Attributes:
        run_id: random name of this execution, also of its staging folder.
        work: the staging folder; `out` below it becomes the run's folder.
        sources, reference: the files of each, in order; no reference is empty.
    """

    run_id: str
    work: Path
    sources: tuple[str, ...]
    reference: tuple[str, ...]
    engine: str
    dask_address: str | None = None

    @property
    def out(self) -> Path:
        """Return the folder that becomes the run's."""
        return self.work / "out"

    @property
    def scratch(self) -> Path:
        """Return the folder of files that only later stages need."""
        return self.work / "scratch"

    @property
    def snapshot(self) -> Path:
        """Return the folder that holds a snapshot of each role."""
        return self.scratch / "snapshot"

    def read(self) -> Snapshot:
        """Return the snapshot of the source."""
        return Snapshot.load(self.snapshot / "source" / "snapshot.json")

    def read_as(self, role: str) -> Snapshot | None:
        """Return the snapshot of `source`, `reference` or `test`, None if there is none."""
        path = self.snapshot / role / "snapshot.json"
        return Snapshot.load(path) if path.exists() else None

    def reference_facts(self) -> list[dict[str, str]]:
        """Return name and digest of each file of the reference as read, none without one."""
        read = self.read_as("reference")
        return [{"name": file.name, "sha256": file.sha256} for file in read.sources] if read else []


def prepare(request: Request) -> Prepared:
    """Load the contract and find the files, before anything is made.

    A reference given in the request takes precedence over the dataset's anchor, and the anchor over
    the contract's reference.
    """
    from checks.contract import loader, yaml_reader
    from pipelines.run import reading
    from pipelines.store import keys, reference_anchor
    from pipelines.store.store import Store

    document = yaml_reader.read(request.contract)
    contract = loader.of(document)
    source = request.source or contract.source
    if not source:
        what = f"{request.contract} names no source"
        raise AssayError("C012", what, fix="give --source PATH, or a path under `servers`")
    if contract.test_set:
        with reading.blamed_on("test"):
            _files(contract, contract.test_set, is_given=False)
    sources = _files(contract, source, is_given=bool(request.source))
    store = Store(request.store)
    store.refuse_foreign()
    keys.require_for(store)
    anchor = reference_anchor.standing(store, contract.name)
    is_anchored = anchor.entry is not None and not request.reference
    reference: tuple[str, ...] = ()
    if anchor.entry is not None and is_anchored:
        reference = tuple(reference_anchor.files(store, anchor.entry))
    elif named := request.reference or contract.reference:
        with reading.blamed_on("reference"):
            reference = _files(contract, named, is_given=bool(request.reference))
    return Prepared(contract, document, sources, reference, anchor, is_anchored)


def _files(contract: Contract, named: str | tuple[str, ...], *, is_given: bool) -> tuple[str, ...]:
    """Return the files; C010 if the contract, and not the user, names one outside its root.

    The loader has checked the path as written; a wildcard or a folder may lead on through links.
    A URL is an object store's, as the loader has checked, and lies below no folder.
    """
    from provenance.files import delta, remote

    each = (named,) if isinstance(named, str) else named
    paths = tuple(path for one in each for path in expand(one))
    for path in map(delta.folder_of, () if is_given else paths):
        if not remote.is_url(path) and not Path(path).resolve().is_relative_to(contract.root):
            what = f"a contract path follows a symlink outside the contract's root: {path}"
            fix = "copy the file below the root, or name it on the command line"
            raise AssayError("C010", what, where=contract.path, fix=fix)
    return paths


def expand(source: str) -> list[str]:
    """Return the files of a source; ASSAY-I014 or another code if there is none.

    A URL of an object store comes back unchanged: the child that reads it lists it, under limits.
    """
    from provenance.files import listing, remote

    if remote.is_url(source) and remote.local_path(source) is None:
        return [source]
    paths = listing.expand(source)
    for path in paths:
        if not remote.is_url(path) and not os.path.lexists(path):
            raise AssayError("I014", "no such file", where=path, fix="check the path")
    return paths
