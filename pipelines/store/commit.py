"""The commit: what makes a staged run a run. The ledger's entry is the one commit point.

Under the ledger's lock: number -> report, manifests -> digests -> fsync -> rename -> entry.
A failure at any point leaves no run, and a folder without an entry is swept by the next commit.
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
from provenance.base.store_door import Door
from provenance.ledger import key_rotation
from provenance.ledger.entry import Entry
from provenance.ledger.signing import Signer
from provenance.rows import digest

# what lies in the folder of a run
LEFT = frozenset({
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
        """Load the signing key, made on first use; E003 if it lies in the store it signs."""
        keys.refuse_inside(store)
        return Committer(store, keys.own(make=True), now)

    def commit_run(
        self,
        out: Path,
        facts: Mapping[str, Any],
        pages: Callable[[int], Mapping[str, str]],
    ) -> Entry:
        """Put a staged folder in place as a run and append its entry.

        Args:
            out: the staged folder, whole but for its pages.
            facts: the entry's body, without its outputs.
            pages: texts by file name, given the run's number (the report).

        Raises:
            AssayError: ASSAY-I013 if the folder's contract is not the one that the facts name.
        """
        files = outputs_of(out)
        staged_contract.require_recorded(facts, files)
        atomic.sync_tree(out)  # here, for under the lock others wait: little is left to sync there

        def prepare(number: int) -> Mapping[str, Any]:
            for name, text in pages(number).items():
                (out / name).write_text(text, encoding="utf-8")
                files.append(_output(out, name))
            told = croissant.croissant_of(number, facts, files, out)
            files.append(_written(out, croissant.FILE, told))
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
        given = [facts["base"], *facts["reviews"]] if facts["kind"] == "release" else []
        parents = [self.store.ledger.read(seq) for seq in given]
        told = manifest.manifest_of(number, facts, files, parents, self.signer.verifier.key_id)
        plain = _written(out, manifest.FILE, told)
        signed = manifest.envelope_of((out / manifest.FILE).read_bytes(), self.signer)
        return [plain, _written(out, manifest.ENVELOPE, signed)]

    def commit_review(self, facts: Mapping[str, Any], decisions: bytes) -> Entry:
        """Append a review entry with its file of decisions."""

        def prepare(number: int) -> Mapping[str, Any]:
            path = self.store.review_file(number)
            atomic.write_exclusive(path, decisions, self._scratch)
            return {**facts, "outputs": [_output(path.parent, path.name)]}

        return self._append(prepare)

    def commit_access(self, facts: Mapping[str, Any]) -> Entry:
        """Append the entry that says to whom a clean dataset is handed; nothing else is written."""
        return self.commit_facts({**facts, "kind": "access", "time": self.now})

    def commit_facts(self, facts: Mapping[str, Any]) -> Entry:
        """Append an entry that has no files."""
        return self._append(lambda _: facts)

    def _append(self, prepare: Callable[[int], Mapping[str, Any]]) -> Entry:
        """Append the entry of what `prepare` puts in place; on failure that is taken back."""
        # two ledgers that a key begins in one second are two: the first entry's digest names each
        first = {**key_rotation.first_facts(self.signer, self.now), "ledger": uuid.uuid4().hex}
        placed: dict[int, Mapping[str, Any]] = {}

        def place(number: int) -> Mapping[str, Any]:
            self._clear(number)  # of what died before its entry, whatever it was
            placed[number] = {}
            placed[number] = prepare(number)
            return placed[number]

        high_water.require_grown(self.store)
        with self.store.opened():
            try:
                made = self.store.ledger.append(self.signer, first, place)
                high_water.advance(self.store, made)
            except BaseException as error:
                with contextlib.suppress(AssayError, OSError):  # the first failure is to be told
                    atomic.sweep_files(self._scratch)
                    for number, facts in placed.items():
                        stands = self._settled(number, facts)
                        if stands and isinstance(error, KeyboardInterrupt):
                            return stands  # it came too late
                raise
        return made

    def _settled(self, number: int, facts: Mapping[str, Any]) -> Entry | None:
        """Return the entry if it stands after all; else take back what was put in place.

        Under the lock: another may have the number by now, with its files there and no entry yet.
        """
        ledger = self.store.ledger
        with atomic.exclusive(ledger.folder / "lock"):
            if not ledger.is_there(number):
                self._clear(number)
                return None
            item = ledger.read(number)
        told = ("run_id", "outputs")
        return item if all(item.facts.get(name) == facts.get(name) for name in told) else None

    def _clear(self, number: int) -> None:
        """Remove a run's folder and a review's file of a number that has no entry."""
        with self.store.opened(make=False) as door:
            for path in (self.store.run_folder(number), self.store.review_file(number)):
                inner = path.parent.name
                if _is_work(door, inner, path.name) and door.remove(inner, path.name):
                    what = "it had no entry, for a run died or the ledger's end was cut off"
                    sys.stderr.write(printable(f"removed {path}: {what}") + "\n")
                elif no_follow.is_there(path):
                    raise _in_the_way(path, is_shared=door.sharing == "group")

    @property
    def _scratch(self) -> Path:
        return self.store.ledger.folder / "tmp"


def _is_work(door: Door, inner: str, name: str) -> bool:
    """Return whether a file or folder without an entry holds nothing but what a run leaves."""
    return not door.is_folder(inner, name) or LEFT.issuperset(door.names(f"{inner}/{name}"))


def _in_the_way(path: Path, *, is_shared: bool) -> AssayError:
    """Return the error of what stands at a number that has no entry, and is not ours to remove."""
    what, fix, found = "is not Assay's", "", path.lstat()
    is_work = stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode)
    if is_shared and is_work and found.st_uid != os.geteuid():
        what = f"was left by a run of user {found.st_uid} that died"
        fix = f"let user {found.st_uid} run or review once in this store, which removes it"
    told = f"{path.name} stands where the next run belongs, and {what}"
    return AssayError("L013", told, where=str(path), fix=fix)


def outputs_of(out: Path) -> list[dict[str, Any]]:
    """Return name, size and sha256 of every file below `out`, by name."""
    names = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    return [_output(out, name) for name in names]


def contract_facts(contract: Contract) -> dict[str, str]:
    """Return which contract a run was made under."""
    return {"path": contract.path, "sha256": contract.sha256, "version": contract.version}


def head_of(store: Store) -> str:
    """Return the digest of the ledger's last entry, empty when there is none."""
    head = store.ledger.head()
    return head.leaf.hex() if head else ""


def _written(out: Path, name: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """Write an object as a JSON file of the run and return it as an output."""
    text = json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False)
    (out / name).write_text(text + "\n", encoding="utf-8")
    return _output(out, name)


def _output(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    try:
        return {"name": name, "size": path.stat().st_size, "sha256": digest.of_file(path)}
    except OSError as error:
        raise AssayError("E005", f"a staged file is gone: {name}") from error
