"""The contract of a run: read once, staged once, and what is recorded is what every process ran.

The parent parses the bytes that it read and writes the same bytes into the run's folder. Children
load that file and refuse any other one, so the file that the user named may change meanwhile: it is
not read again.
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
    """What a child needs to load the contract; plain texts.

    Attributes:
        file: the staged file; `sha256`: of the bytes that the parent parsed.
        path: the user's file, whose folder paths in the contract are relative to.
        name: what messages call the user's file.
        root: the folder that paths in the contract may not leave.
    """

    file: str
    sha256: str
    path: str
    name: str
    root: str

    def load(self) -> Contract:
        """Return the contract; ASSAY-I013 if the staged file is another one by now."""
        try:
            found = yaml_reader.read(Path(self.file))
        except AssayError as error:
            raise changed(self.name) from error
        if found.sha256 != self.sha256:
            raise changed(self.name)
        document = dataclasses.replace(found, path=Path(self.path), name=self.name)
        return loader.of(document, root=Path(self.root), home=Path(self.path).parent)

    def arguments(self) -> dict[str, str]:
        """Return what travels to a child."""
        return dataclasses.asdict(self)

    def require_one(self, digests: Iterable[str]) -> None:
        """Refuse (ASSAY-I013) if a child parsed other bytes than the parent."""
        if set(digests) - {self.sha256}:
            raise changed(self.name)


def stage(document: yaml_reader.Document, contract: Contract, folder: Path) -> StagedContract:
    """Write the bytes that the contract was parsed from into the folder of a run."""
    path = folder / FILE
    # "x" makes the file, and so writes through no link that somebody has put there
    with open(path, "xb", opener=lambda name, how: os.open(name, how, 0o600)) as file:
        file.write(document.content)
    return StagedContract(str(path), document.sha256, contract.path, document.name, contract.root)


def share(folder: Path, like: Path) -> None:
    """Let whoever may read `like` read the staged contract, before it is committed beside it."""
    with contextlib.suppress(FileNotFoundError):  # the commit refuses it
        (folder / FILE).chmod(stat.S_IMODE(like.stat().st_mode))


def loaded(contract: str | Mapping[str, str]) -> Contract:
    """Return a contract from its path, or in a run's child from the arguments of a staged one."""
    if isinstance(contract, Mapping):
        return StagedContract(**contract).load()
    return loader.load(Path(contract))


def require_recorded(facts: Mapping[str, Any], files: Iterable[Mapping[str, Any]]) -> None:
    """Refuse a commit (ASSAY-I013) whose contract file is not the contract that is recorded."""
    found = [file["sha256"] for file in files if file["name"] == FILE]
    if found != [facts["contract"]["sha256"]]:
        raise changed(facts["contract"]["path"])


def recorded(facts: Mapping[str, Any], out: Path) -> Node:
    """Return the contract of a run's folder as it is written, if it is the one recorded."""
    document = yaml_reader.read(out / FILE)
    if document.sha256 != facts["contract"]["sha256"]:
        raise changed(facts["contract"]["path"])
    return yaml_reader.parse(document.content, FILE)


def changed(name: str) -> AssayError:
    """Return the refusal of a staged contract that is another one by now."""
    what = "the copy of the contract that the run staged was changed"
    return AssayError("I013", what, where=name, fix="run again, and look at who writes the store")
