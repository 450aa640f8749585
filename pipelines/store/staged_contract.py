"""The contract of a run: read once and staged once, so that every process uses what is recorded.

The parent parses the bytes it read and writes the same bytes into the run's folder. Children load
that copy and refuse any other bytes. The user's file is not read again, so it may change meanwhile.
"""

import contextlib
import dataclasses
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from checks.contract import loader, yaml_reader
from checks.contract.node import Node
from checks.kit.contract_model import Contract
from provenance.base.errors import AssayError

FILE = "contract.yaml"


@dataclasses.dataclass(frozen=True, slots=True)
class StagedContract:
    """What a child needs to load the contract, as plain strings.

    Attributes:
        file: the staged copy; `sha256`: of the bytes that the parent parsed.
        path: the user's file; paths in the contract are relative to its folder.
        name: the user's file as messages name it.
        root: the folder that paths in the contract may not leave.
        inspected: digest of the patterns and queries that the parent had inspected; the child takes
            it from its parent's pipe alone, and inspects any others itself.
    """

    file: str
    sha256: str
    path: str
    name: str
    root: str
    inspected: str = ""

    def load(self) -> Contract:
        """Return the contract; ASSAY-I013 if the staged copy was changed."""
        try:
            found = yaml_reader.read(Path(self.file))
        except AssayError as error:
            raise changed(self.name) from error
        if found.sha256 != self.sha256:
            raise changed(self.name)
        document = dataclasses.replace(found, path=Path(self.path), name=self.name)
        home = Path(self.path).parent
        return loader.of(document, root=Path(self.root), home=home, inspected=self.inspected)

    def arguments(self) -> dict[str, str]:
        """Return what travels to a child."""
        return dataclasses.asdict(self)

    def require_one(self, digests: Iterable[str]) -> None:
        """Refuse (ASSAY-I013) if a child parsed other bytes than the parent."""
        if set(digests) - {self.sha256}:
            raise changed(self.name)


def stage(document: yaml_reader.Document, contract: Contract, folder: Path) -> StagedContract:
    """Write the bytes that the contract was parsed from into a run's folder."""
    path = folder / FILE
    # "x" creates the file, so it cannot write through a link that somebody put there
    with open(path, "xb", opener=lambda name, how: os.open(name, how, 0o600)) as file:
        file.write(document.content)
    return StagedContract(
        str(path), document.sha256, contract.path, document.name, contract.root, contract.inspected
    )


def share(folder: Path, like: Path) -> None:
    """Let whoever may read `like` read the staged contract that is about to be committed."""
    with contextlib.suppress(FileNotFoundError):  # the commit refuses a missing contract
        (folder / FILE).chmod(stat.S_IMODE(like.stat().st_mode))


def loaded(contract: str | Mapping[str, str]) -> Contract:
    """Return a contract from its path, or in a run's child from a staged one's arguments."""
    if isinstance(contract, Mapping):
        return StagedContract(**contract).load()
    return loader.load(Path(contract))


def require_recorded(facts: Mapping[str, Any], files: Iterable[Mapping[str, Any]]) -> None:
    """Refuse (ASSAY-I013) to commit a contract file other than the recorded contract."""
    found = [file["sha256"] for file in files if file["name"] == FILE]
    if found != [facts["contract"]["sha256"]]:
        raise changed(facts["contract"]["path"])


def recorded(facts: Mapping[str, Any], out: Path) -> Node:
    """Return the contract in a run's folder as written; ASSAY-I013 if it was not recorded."""
    document = yaml_reader.read(out / FILE)
    if document.sha256 != facts["contract"]["sha256"]:
        raise changed(facts["contract"]["path"])
    return yaml_reader.parse(document.content, FILE)


def changed(name: str) -> AssayError:
    """Return the refusal of a staged contract that was changed."""
    what = "the staged copy of the contract was changed during the run"
    fix = "run again, and find out who else writes to the store"
    return AssayError("I013", what, where=name, fix=fix)
