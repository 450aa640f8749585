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
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path

from checks.kit.contract_model import Contract
from checks.pii import deny_list
from pipelines.run.request import Plan
from provenance.base.errors import AssayError
from provenance.ledger.signing import Signer
from provenance.rows.snapshot import Source

PURPOSE = "beside"
DENIED, MODEL, TEST = "pii.deny_file", "pii.model", "duplicates.test"
UNREAD = "unread"  # no file has this digest


@dataclasses.dataclass(frozen=True, slots=True)
class NamedFiles:
    """The files that a contract named, as they were before anything was read.

    Attributes:
        digests: by the name of each option, to be recorded.
        contract: the contract, with the deny list bound to its digest.
        model: the model's files in more detail than is recorded; "" without a model.
    """

    digests: dict[str, str]
    contract: Contract
    model: str

    def require_same(self, plan: Plan) -> None:
        """Compare with what the run used.

        Raises:
            AssayError: ASSAY-I013 if the test set or the model changed.
        """
        if TEST in self.digests:
            test = plan.read_as("test")
            used = _digest_of_test(_identity(source) for source in test.sources) if test else ""
            if used != self.digests[TEST]:
                raise self._changed("the test set of duplicates")
        if _files_of_model(self.contract) != self.model:
            raise self._changed("the model of assay.checks.pii")

    def _changed(self, what: str) -> AssayError:
        where = self.contract.path
        return AssayError("I013", f"{what} changed during the run", where=where, fix="run again")


def named_by(contract: Contract, signer: Callable[[], Signer]) -> NamedFiles:
    """Return the files that a contract names as they are now; no digests if one cannot be read.

    The check that needs the file reports it, and the run fails.
    """
    bound, content = _bound(contract)
    try:
        found = _digests(contract, content, signer)
    except AssayError as error:
        if error.code != "ASSAY-K003":
            raise
        found = {}
    return NamedFiles(found, bound, _files_of_model(contract))


def bound(contract: Contract) -> Contract:
    """Return the contract with its deny list bound to the bytes that the file has now."""
    return _bound(contract)[0]


def digests(contract: Contract, signer: Callable[[], Signer]) -> dict[str, str]:
    """Return a digest by the name of each option that names a file.

    Raises:
        AssayError: ASSAY-K003 if a file cannot be read; for a test set the codes of any source.
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
    """Return the contract with its deny list bound, and the list's bytes or why they are missing.

    A list that cannot be read now is bound to nothing: it must not appear during the run.
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
        if delta.is_table(name):  # its version identifies it
            read.append(remote.shown(delta.pinned(name, name)))
            continue
        with safe_open.Opened(name, source_limits(contract)) as file:
            read.append(file.digest())
    return {TEST: _digest_of_test(read)}


def _identity(source: Source) -> str:
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
    """Return the files of a model in enough detail to notice one swapped and put back."""
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
