"""What a contract names beside itself: digests that tell whether a verdict still speaks of it.

A deny list is personal data, so its digest is keyed and tells nothing to who guesses at names. A
model is told by the names, sizes and times of its files, or by its package's version: another copy
only costs a new run.

What a run records is what it used: a deny list is only searched with as the bytes that were
digested, and a test set and a model are compared again at the commit.
"""

import dataclasses
import hashlib
import hmac
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path

from checks.kit.contract_model import Contract
from checks.pii import deny_list
from provenance.base.errors import AssayError
from provenance.ledger.signing import Signer
from provenance.rows.snapshot import Snapshot, Source

PURPOSE = "beside"
DENIED, MODEL, TEST = "pii.deny_file", "pii.model", "duplicates.test"
UNREAD = "unread"  # no file has this digest


@dataclasses.dataclass(frozen=True, slots=True)
class Beside:
    """What a contract named before anything was read.

    Attributes:
        digests: to be recorded, by the name of each option.
        contract: the same, but with the deny list bound to its digest.
        model: what the model's files were, more closely than it is recorded; "" without a model.
    """

    digests: dict[str, str]
    contract: Contract
    model: str

    def require_same(self, read: Path) -> None:
        """Compare with what the run used; `read` is the folder of what the reading child left.

        Raises:
            AssayError: ASSAY-I013 if the test set or the model became another one.
        """
        test = read / "test" / "snapshot.json"
        if TEST in self.digests:
            used = _digest_of_test(_told(source) for source in Snapshot.load(test).sources)
            if used != self.digests[TEST]:
                raise self._changed("the test set of duplicates")
        if _files_of_model(self.contract) != self.model:
            raise self._changed("the model of assay.checks.pii")

    def _changed(self, what: str) -> AssayError:
        where = self.contract.path
        return AssayError("I013", f"{what} changed during the run", where=where, fix="run again")


def taken(contract: Contract, signer: Callable[[], Signer]) -> Beside:
    """Return what a contract names as it is now; without digests if one cannot be read.

    The check that needs it says so, and the run fails.
    """
    bound, content = _bound(contract)
    try:
        found = _digests(contract, content, signer)
    except AssayError as error:
        if error.code != "ASSAY-K003":
            raise
        found = {}
    return Beside(found, bound, _files_of_model(contract))


def bound(contract: Contract) -> Contract:
    """Return the contract with its deny list bound to the bytes that the file has now."""
    return _bound(contract)[0]


def digests(contract: Contract, signer: Callable[[], Signer]) -> dict[str, str]:
    """Return a digest by the name of each option; empty where none names a file.

    Raises:
        AssayError: ASSAY-K003 if one of them cannot be read; the codes of any source for a test
            set.
    """
    return _digests(contract, _bound(contract)[1], signer)


def _digests(
    contract: Contract, content: bytes | AssayError | None, signer: Callable[[], Signer]
) -> dict[str, str]:
    found = _test_set(contract)
    if isinstance(content, AssayError):
        what = "assay.checks.pii.deny_file cannot be read"
        raise AssayError("K003", what, where=contract.path) from content
    if content is not None:
        found[DENIED] = hmac.digest(signer().derived(PURPOSE), content, "sha256").hex()
    if model := _options(contract).get("model"):
        try:
            found[MODEL] = hashlib.sha256(_listing(str(model)).encode()).hexdigest()
        except OSError as error:
            what = "assay.checks.pii.model cannot be read"
            raise AssayError("K003", what, where=contract.path) from error
    return found


def _bound(contract: Contract) -> tuple[Contract, bytes | AssayError | None]:
    """Return the contract with its deny list bound, and that list's bytes, or why there are none.

    One that cannot be read now is bound to nothing: it must not turn up while the run goes on.
    """
    options = _options(contract)
    if not (file := options.get("deny_file")):
        return contract, None
    content: bytes | AssayError
    try:
        content = deny_list.content_of(str(file))
        sha256 = hashlib.sha256(content).hexdigest()
    except AssayError as error:
        content, sha256 = error, UNREAD
    checks = {**contract.checks, "pii": {**options, "deny_sha256": sha256}}
    return dataclasses.replace(contract, checks=checks), content


def _options(contract: Contract) -> dict[str, object]:
    return {} if contract.is_off("pii") else contract.options("pii")


def _test_set(contract: Contract) -> dict[str, str]:
    from pipelines.run.reading import source_limits
    from provenance.files import delta, remote, safe_open
    from provenance.readers import ingest

    if not contract.test_set:
        return {}
    read = []
    for name in ingest.expand(contract.test_set):
        if delta.is_table(name):  # whose version tells it apart
            read.append(remote.shown(delta.pinned(name, name)))
            continue
        with safe_open.Opened(name, source_limits(contract)) as file:
            read.append(file.digest())
    return {TEST: _digest_of_test(read)}


def _told(source: Source) -> str:
    from provenance.files import delta

    return source.name if delta.is_table(source.name) else source.sha256


def _digest_of_test(read: Iterable[str]) -> str:
    return hashlib.sha256("".join(read).encode()).hexdigest()


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


def _files_of_model(contract: Contract) -> str:
    """Return which files a model is now, so that one that was swapped and put back is told too."""
    model = str(_options(contract).get("model", ""))
    folder = Path(model)
    if not folder.is_absolute():
        return model and _listing(model)
    try:
        facts = [(path.as_posix(), path.stat()) for path in (folder, *sorted(folder.rglob("*")))]
    except OSError as error:
        return f"unreadable: {error.errno}"
    return "\n".join(
        f"{name} {fact.st_ino} {fact.st_size} {fact.st_mtime_ns} {fact.st_ctime_ns}"
        for name, fact in facts
    )
