"""What a command line asks for, and the files that it names, before anything is made."""

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from checks.contract.yaml_reader import Document
from checks.kit.contract_model import Contract
from provenance.base.errors import AssayError

if TYPE_CHECKING:
    from pipelines.store.reference_anchor import Standing


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
    share: str | None = None  # of a store that is made: `private` or `group`
    checkpoint: str | None = None  # that the ledger must hold against
    source_name: str | None = None  # as messages and the ledger call a source of one file


@dataclasses.dataclass(frozen=True, slots=True)
class Prepared:
    """The contract and the files of a request.

    Attributes:
        document: the bytes that it was parsed from.
        sources, reference: the files, in order; a URL of a store as it is.
        anchor: what stands for the dataset; `is_anchored`: whether the reference is its.
    """

    contract: Contract
    document: Document
    sources: tuple[str, ...]
    reference: tuple[str, ...]
    anchor: "Standing"
    is_anchored: bool

    def require_anchored(self, read: list[dict[str, str]]) -> None:
        """Refuse (ASSAY-I013) a reference that was read and is not what the anchor names."""
        if not self.is_anchored or self.anchor.entry is None:
            return
        named = [file["sha256"] for file in self.anchor.entry.facts["files"]]
        if [file["sha256"] for file in read] != named:
            what = "the reference changed after it was compared with the anchor"
            where = f"entry {self.anchor.entry.seq}"
            raise AssayError("I013", what, where=where, fix="assay verify")


def prepare(request: Request) -> Prepared:
    """Load the contract and find the files, before anything is made.

    A reference on the command line stands over the dataset's anchor, and that over the contract's.
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
        with reading.told_of("test"):
            _read_for(contract, expand(contract.test_set), is_named=False)
    paths = _read_for(contract, expand(source), is_named=bool(request.source))
    store = Store(request.store)
    store.refuse_foreign()
    keys.require_for(store)
    stands = reference_anchor.standing(store, contract.name)
    if stands.entry is not None and not request.reference:
        reference = reference_anchor.files(store, stands.entry)
        return Prepared(
            contract, document, tuple(paths), tuple(reference), stands, is_anchored=True
        )
    reference = []
    if named := request.reference or contract.reference:
        with reading.told_of("reference"):
            reference = _read_for(contract, expand(named), is_named=bool(request.reference))
    return Prepared(contract, document, tuple(paths), tuple(reference), stands, is_anchored=False)


def _read_for(contract: Contract, paths: list[str], *, is_named: bool) -> list[str]:
    """Return the files; C010 if the contract, and not a person, named one outside its root.

    The loader has seen the path as it is written; a wildcard or a folder may lead on through links.
    A URL is an object store's, as the loader has seen, and lies below no folder.
    """
    from provenance.files import delta, remote

    for path in map(delta.folder_of, () if is_named else paths):
        if not remote.is_url(path) and not Path(path).resolve().is_relative_to(contract.root):
            what = f"a link leads from the contract's paths out of its root: {path}"
            fix = "copy the file below the root, or name it on the command line"
            raise AssayError("C010", what, where=contract.path, fix=fix)
    return paths


def expand(source: str) -> list[str]:
    """Return the files of a source; I014 and its like if there is none.

    A URL of a store comes back as it is: the child that reads it asks the store, under its limits.
    """
    from provenance.files import remote
    from provenance.readers import ingest

    if remote.is_url(source) and remote.local_path(source) is None:
        return [source]
    paths = ingest.expand(source)
    for path in paths:
        if not remote.is_url(path) and not os.path.lexists(path):
            raise AssayError("I014", "no such file", where=path, fix="check the path")
    return paths
