"""The commit: turns staged work into a run. Appending the ledger entry is the one commit point.

Under the ledger's lock: number -> report, manifests -> digests -> fsync -> rename -> entry.
A failure at any point leaves no run, and the next commit removes a folder without an entry.
"""

import contextlib
import dataclasses
import json
import os
import stat
import sys
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from checks.kit.contract_model import Contract
from pipelines.store import croissant, high_water, keys, manifest, staged_contract
from pipelines.store.store import Store
from provenance.base import atomic, no_follow
from provenance.base.errors import AssayError, printable
from provenance.base.file_digest import sha256_of
from provenance.base.store_door import Door
from provenance.ledger import key_rotation
from provenance.ledger.entry import Entry
from provenance.ledger.signing import Signer

# names in the folder of a run
OWN_NAMES = frozenset({
    "clean", "quarantine", "rejected", "findings", "lineage", "models", "expectations",
    "contract.yaml", "report.html", croissant.FILE, manifest.FILE, manifest.ENVELOPE,
})  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Committer:
    """What every append needs: the store, the key, and the time as an ISO string with zone."""

    store: Store
    signer: Signer
    now: str

    @staticmethod
    def of(store: Store, now: str) -> "Committer":
        """Load the signing key or make one; E003 if it is in the store that it signs."""
        keys.refuse_inside(store)
        return Committer(store, keys.own(make=True), now)

    def commit_run(
        self,
        out: Path,
        facts: Mapping[str, Any],
        pages: Callable[[int], Mapping[str, str]],
    ) -> Entry:
        """Move a staged folder into place as a run and append its entry.

        Args:
            out: the staged folder, complete except for its pages.
            facts: the entry's body, without its outputs.
            pages: returns texts by file name, given the run's number (the report).

        Raises:
            AssayError: ASSAY-I013 if the folder's contract is not the one that the facts name.
        """
        files = outputs_of(out)
        staged_contract.require_recorded(facts, files)
        atomic.sync_tree(out)  # most of it before the lock, where others wait

        def prepare(number: int) -> Mapping[str, Any]:
            for name, text in pages(number).items():
                (out / name).write_text(text, encoding="utf-8")
                files.append(_output(out, name))
            described = croissant.croissant_of(number, facts, files, out)
            files.append(_written(out, croissant.FILE, described))
            files.extend(self._manifests(number, facts, files, out))
            atomic.sync_tree(out)
            with self.store.opened(make=False) as door:
                door.require_here()
                atomic.publish(out, self.store.run_folder(number))
            return {**facts, "outputs": sorted(files, key=lambda item: str(item["name"]))}

        return self._append(prepare)

    def _manifests(
        self, number: int, facts: Mapping[str, Any], files: list[dict[str, Any]], out: Path
    ) -> list[dict[str, Any]]:
        """Write the manifest over `files` and its signed envelope; return both as outputs."""
        base = [facts["base"]] if facts["kind"] == "release" else []
        given = [*base, *facts.get("reviews", [])]
        parents = [self.store.ledger.read(seq) for seq in given]
        whole = manifest.manifest_of(number, facts, files, parents, self.signer.verifier.key_id)
        plain = _written(out, manifest.FILE, whole)
        signed = manifest.envelope_of((out / manifest.FILE).read_bytes(), self.signer)
        return [plain, _written(out, manifest.ENVELOPE, signed)]

    def commit_review(
        self, facts: Mapping[str, Any], decisions: bytes, check: Callable[[int], None] | None = None
    ) -> Entry:
        """Append a review entry with its file of decisions.

        Args:
            facts: the entry's body, without its outputs.
            decisions: content of the file.
            check: called under the ledger's lock with the entry's number, before anything is
                written; what it raises is raised.
        """

        def prepare(number: int) -> Mapping[str, Any]:
            if check:
                check(number)
            path = self.store.review_file(number)
            atomic.write_exclusive(path, decisions, self._scratch)
            return {**facts, "outputs": [_output(path.parent, path.name)]}

        return self._append(prepare)

    def commit_access(self, facts: Mapping[str, Any]) -> Entry:
        """Append the entry that says who gets a clean dataset; nothing else is written."""
        return self.commit_facts({**facts, "kind": "access", "time": self.now})

    def commit_facts(self, facts: Mapping[str, Any]) -> Entry:
        """Append an entry without files."""
        return self._append(lambda _: facts)

    def _append(self, prepare: Callable[[int], Mapping[str, Any]]) -> Entry:
        """Append the entry of what `prepare` puts into place; on failure remove that again."""
        # two ledgers that one key begins in the same second must differ in their first entry
        first = {**key_rotation.first_facts(self.signer, self.now), "ledger": uuid.uuid4().hex}
        placed: dict[int, Mapping[str, Any]] = {}

        def place(number: int) -> Mapping[str, Any]:
            self._clear(number)  # of what a run left that died before its entry
            placed[number] = {}
            placed[number] = prepare(number)
            return placed[number]

        high_water.require_grown(self.store)
        with self.store.opened():
            try:
                made = self.store.ledger.append(self.signer, first, place)
                high_water.advance(self.store, made)
            except BaseException as error:
                with contextlib.suppress(AssayError, OSError):  # the first failure is raised
                    atomic.sweep_files(self._scratch)
                    for number, facts in placed.items():
                        committed = self._settled(number, facts)
                        if committed and isinstance(error, KeyboardInterrupt):
                            return committed  # the interrupt came too late
                raise
        return made

    def _settled(self, number: int, facts: Mapping[str, Any]) -> Entry | None:
        """Return the entry if it was committed after all; else remove what was put into place.

        Under the lock: another run may have the number by now, with its files but no entry yet.
        """
        ledger = self.store.ledger
        with atomic.exclusive(ledger.folder / "lock"):
            if not ledger.is_there(number):
                self._clear(number)
                return None
            item = ledger.read(number)
        identity = ("run_id", "outputs")
        is_ours = all(item.facts.get(name) == facts.get(name) for name in identity)
        return item if is_ours else None

    def _clear(self, number: int) -> None:
        """Remove the run's folder and the review's file of a number without an entry."""
        with self.store.opened(make=False) as door:
            for path in (self.store.run_folder(number), self.store.review_file(number)):
                inner = path.parent.name
                if _is_work(door, inner, path.name) and door.remove(inner, path.name):
                    what = "it had no entry: a run died, or the end of the ledger was cut off"
                    sys.stderr.write(printable(f"removed {path}: {what}") + "\n")
                elif no_follow.is_there(path):
                    raise _in_the_way(path, is_shared=door.sharing == "group")

    @property
    def _scratch(self) -> Path:
        return self.store.ledger.folder / "tmp"


def _is_work(door: Door, inner: str, name: str) -> bool:
    """Return whether a file or folder without an entry has only names that a run writes."""
    return not door.is_folder(inner, name) or OWN_NAMES.issuperset(door.names(f"{inner}/{name}"))


def _in_the_way(path: Path, *, is_shared: bool) -> AssayError:
    """Return the error of something at a number without an entry that must not be removed."""
    what, fix, found = "is not Assay's", "", path.lstat()
    is_work = stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode)
    if is_shared and is_work and found.st_uid != os.geteuid():
        what = f"was left by a run of user {found.st_uid} that died"
        fix = f"let user {found.st_uid} run or review once in this store, which removes it"
    message = f"{path.name} is in the place of the next run, and {what}"
    return AssayError("L013", message, where=str(path), fix=fix)


def outputs_of(out: Path) -> list[dict[str, Any]]:
    """Return name, size and sha256 of every file below `out`, by name."""
    names = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    return [_output(out, name) for name in names]


def contract_facts(contract: Contract) -> dict[str, str]:
    """Return the contract of a run as its entry records it."""
    return {"path": contract.path, "sha256": contract.sha256, "version": contract.version}


def head_of(store: Store) -> str:
    """Return the digest of the ledger's last entry, empty when there is none."""
    head = store.ledger.head()
    return head.leaf.hex() if head else ""


def _written(out: Path, name: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """Write an object as a JSON file of the run and return it as an output."""
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    (out / name).write_text(text + "\n", encoding="utf-8")
    return _output(out, name)


def _output(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    try:
        return {"name": name, "size": path.stat().st_size, "sha256": sha256_of(path)}
    except OSError as error:
        raise AssayError("E005", f"a staged file is missing: {name}") from error
