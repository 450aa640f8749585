"""The other files that a contract names: digests that show whether a verdict still applies.

A deny list is personal data, so its digest is keyed and useless to someone who guesses names. A
model is identified by the names, sizes and times of its files, or by its package's version: another
copy merely costs a new run.

A run records what it used: a deny list is only searched with if its bytes are those that were
digested, and a test set and a model are compared again at the commit.
"""

import dataclasses
import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from checks.kit.contract_model import Contract
from pipelines.run.request import Plan
from provenance.base.errors import AssayError
from provenance.base.limits import Limits
from provenance.files.safe_open import Opened
from provenance.ledger.signing import Signer
from provenance.rows.snapshot import Source

if TYPE_CHECKING:
    from checks.kit.registry import NamedFile

PURPOSE = "beside"
UNREAD = "unread"  # no file has this digest
MOST_PRIVATE = 64 << 20  # bytes of a private file
Contents = Mapping["NamedFile", bytes | AssayError]  # of private files, or why there are none


@dataclasses.dataclass(frozen=True, slots=True)
class NamedFiles:
    """The files that a contract named, as they were before anything was read.

    Attributes:
        digests: by the name of each option, to be recorded.
        contract: the contract, with each private file bound to its digest.
        models: by option, the model's files in more detail than is recorded.
    """

    digests: dict[str, str]
    contract: Contract
    models: dict[str, str]

    def require_same(self, plan: Plan) -> None:
        """Compare with what the run used.

        Raises:
            AssayError: ASSAY-I013 if the test set or the model changed.
        """
        test = plan.read_as("test")
        for file in _files(self.contract, "rows"):
            if (option := _name(file)) in self.digests:
                used = _digest_of_rows(map(_identity, test.sources)) if test else ""
                if used != self.digests[option]:
                    raise self._changed(f"the test set of {file.check}")
        models = _models(self.contract)
        for option in models:
            if models[option] != self.models.get(option):
                raise self._changed(f"the model of assay.checks.{option.partition('.')[0]}")

    def _changed(self, what: str) -> AssayError:
        where = self.contract.path
        return AssayError("I013", f"{what} changed during the run", where=where, fix="run again")


def named_by(contract: Contract, signer: Callable[[], Signer]) -> NamedFiles:
    """Return the files that a contract names as they are now; no digests if one cannot be read.

    The check that needs the file reports it, and the run fails.
    """
    bound, contents = _bound(contract)
    try:
        found = _digests(contract, contents, signer)
    except AssayError as error:
        if error.code != "ASSAY-K003":
            raise
        found = {}
    return NamedFiles(found, bound, _models(contract))


def bound(contract: Contract) -> Contract:
    """Return the contract with its private files bound to the bytes that they have now."""
    return _bound(contract)[0]


def digests(contract: Contract, signer: Callable[[], Signer]) -> dict[str, str]:
    """Return a digest by the name of each option that names a file.

    Raises:
        AssayError: ASSAY-K003 if a file cannot be read; for a test set the codes of any source.
    """
    return _digests(contract, _bound(contract)[1], signer)


def _digests(
    contract: Contract, contents: Contents, signer: Callable[[], Signer]
) -> dict[str, str]:
    found = {_name(file): _digest_of_path(contract, file) for file in _files(contract, "rows")}
    for file, content in contents.items():
        if isinstance(content, AssayError):
            raise _unreadable(contract, file) from content
        found[_name(file)] = hmac.digest(signer().derived(PURPOSE), content, "sha256").hex()
    for file in _files(contract, "model"):
        try:
            found[_name(file)] = hashlib.sha256(_listing(file.path).encode()).hexdigest()
        except OSError as error:
            raise _unreadable(contract, file) from error
    return found


def _files(contract: Contract, use: str) -> "list[NamedFile]":
    if not any(contract.options(check) for check in contract.checks):
        return []
    from checks.kit import registry  # loads all checks

    return [file for file in registry.named_files(contract) if file.use == use]


def _name(file: "NamedFile") -> str:
    return f"{file.check}.{file.option}"


def _unreadable(contract: Contract, file: "NamedFile") -> AssayError:
    what = f"assay.checks.{_name(file)} cannot be read"
    return AssayError("K003", what, where=contract.path)


def _bound(contract: Contract) -> tuple[Contract, Contents]:
    """Return the contract with its private files bound, and their bytes or why there are none.

    One that cannot be read now is bound to nothing: it must not appear during the run.
    """
    checks = dict(contract.checks)
    contents: dict[NamedFile, bytes | AssayError] = {}
    for file in _files(contract, "private"):
        content = contents[file] = _content(file.path)
        sha256 = UNREAD
        if isinstance(content, bytes):
            sha256 = hashlib.sha256(content).hexdigest()
        checks[file.check] = {**checks[file.check], f"{file.option}_sha256": sha256}
    return dataclasses.replace(contract, checks=checks), contents


def _content(path: str) -> bytes | AssayError:
    try:
        with Opened(path, Limits(max_bytes=MOST_PRIVATE)) as opened:
            return opened.content()
    except AssayError as error:
        return error


def _digest_of_path(contract: Contract, file: "NamedFile") -> str:
    from pipelines.run.reading import source_limits
    from provenance.files import delta, listing, remote

    read = []
    for name in listing.expand(file.path):
        if delta.is_table(name):  # its version identifies it
            read.append(remote.shown(delta.pinned(name, name)))
            continue
        with Opened(name, source_limits(contract)) as opened:
            read.append(opened.digest())
    return _digest_of_rows(read)


def _identity(source: Source) -> str:
    from provenance.files import delta

    return source.name if delta.is_table(source.name) else source.sha256


def _digest_of_rows(read: Iterable[str]) -> str:
    return hashlib.sha256("".join(read).encode()).hexdigest()


def _listing(model: str) -> str:
    folder = Path(model)
    if not folder.is_absolute():
        from importlib import metadata

        try:
            return f"{model} {metadata.version(model)}"
        except metadata.PackageNotFoundError:
            return model
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    facts = [(path.relative_to(folder).as_posix(), path.stat()) for path in files]
    return "\n".join(f"{name} {fact.st_size} {fact.st_mtime_ns}" for name, fact in facts)


def _models(contract: Contract) -> dict[str, str]:
    """Return which files each model is now, so that one swapped and put back is noticed."""
    return {_name(file): _files_of_model(file.path) for file in _files(contract, "model")}


def _files_of_model(model: str) -> str:
    folder = Path(model)
    if not folder.is_absolute():
        return _listing(model)
    try:
        facts = [(path.as_posix(), path.stat()) for path in (folder, *sorted(folder.rglob("*")))]
    except OSError as error:
        return f"unreadable: {error.errno}"
    return "\n".join(
        f"{name} {fact.st_ino} {fact.st_size} {fact.st_mtime_ns} {fact.st_ctime_ns}"
        for name, fact in facts
    )
