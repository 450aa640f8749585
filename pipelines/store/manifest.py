"""The manifest of a run: an in-toto Statement v1 with SLSA provenance v1, plain and signed.

    manifest.json       the statement; its subjects are all files of the run but these two
    manifest.dsse.json  the same bytes in a DSSE envelope, signed with the ledger's key
It goes where the clean dataset goes, so the names in it tell nothing of this machine: they are
relative to the contract's folder, or plain file names. docs/standards.md says what each field is.
"""

import base64
import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from provenance.ledger import entry
from provenance.ledger.entry import Entry
from provenance.ledger.segments import DIGITS
from provenance.ledger.signing import Signer

FILE, ENVELOPE = "manifest.json", "manifest.dsse.json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
MEDIA_TYPE = "application/vnd.in-toto+json"
BUILD_TYPES = {"run": "urn:assay:run:1", "release": "urn:assay:release:1"}


def manifest_of(
    number: int,
    facts: Mapping[str, Any],
    files: Sequence[Mapping[str, Any]],
    parents: Sequence[Entry],
    key_id: bytes,
) -> dict[str, Any]:
    """Return a run as an in-toto Statement v1 with SLSA provenance v1.

    Args:
        number: the run's.
        facts: the entry's body.
        files: name and sha256 of every file of the run; they become the subjects.
        parents: for a release the base run's entry, then those of the reviews; else none.
        key_id: of the key that signs; it stands for whoever is trusted to have run this.
    """
    is_run = facts["kind"] == "run"
    built_by = facts.get("released_by", facts["code"])
    taken = _examined(facts) if is_run else _released(parents)
    named: dict[str, Any] = {role: [f["name"] for f in read] for role, read in taken.items()}
    set_by_user = {"failOn": facts["policy"]["fail_on"]} if is_run else {}
    set_by_assay = {n: facts[n] for n in ("engine", "orchestrator")} if is_run else {}
    return {
        "_type": STATEMENT,
        "subject": [{"name": f["name"], "digest": {"sha256": f["sha256"]}} for f in files],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPES[facts["kind"]],
                "externalParameters": named | set_by_user,
                "internalParameters": set_by_assay,
                "resolvedDependencies": [*itertools.chain(*taken.values()), _code(built_by)],
            },
            "runDetails": {
                "builder": {
                    "id": f"urn:assay:key:{key_id.hex()}",
                    "version": {"assay": built_by["version"]},
                },
                "metadata": {
                    "invocationId": facts["run_id"],
                    "startedOn": _zulu(facts["started"]),
                    "finishedOn": _zulu(facts["time"]),
                },
                "byproducts": [_outcome(number, facts)],
            },
        },
    }


def envelope_of(manifest: bytes, signer: Signer) -> dict[str, Any]:
    """Return a DSSE envelope around a manifest's bytes, signed."""
    kind = MEDIA_TYPE.encode()
    signed = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(manifest), manifest)
    signature = {"keyid": signer.verifier.key_id.hex(), "sig": _base64(signer.sign(signed))}
    return {"payload": _base64(manifest), "payloadType": MEDIA_TYPE, "signatures": [signature]}


def _examined(facts: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return what a run read, by the part it played."""
    root = Path(facts["contract"]["path"]).parent
    taken = {"contract": [_file(Path(facts["contract"]["path"]).name, facts["contract"]["sha256"])]}
    for role, key in (("source", "inputs"), ("reference", "reference")):
        taken[role] = [_file(_name(item["name"], root), item["sha256"]) for item in facts[key]]
    return taken


def _released(parents: Sequence[Entry]) -> dict[str, list[dict[str, Any]]]:
    """Return what a release read: a run by its manifest, which names all its files, and reviews."""
    base, *reviews = parents
    run = f"runs/{base.seq:0{DIGITS}}/{FILE}"
    whole = next(item for item in base.facts["outputs"] if item["name"] == FILE)
    decisions = [item for review in reviews for item in review.facts["outputs"]]
    return {
        "run": [_file(run, whole["sha256"])],
        "review": [_file(f"reviews/{item['name']}", item["sha256"]) for item in decisions],
    }


def _file(name: str, sha256: str) -> dict[str, Any]:
    address = {"uri": name} if "://" in name else {}
    return {"name": name, **address, "digest": {"sha256": sha256}}


def _name(path: str, root: Path) -> str:
    """Return a path as it stands beneath `root`, or the file's name; an address as it is."""
    if "://" in path:
        return path
    whole = Path(os.path.realpath(path))
    return whole.relative_to(root).as_posix() if whole.is_relative_to(root) else whole.name


def _code(code: Mapping[str, str]) -> dict[str, Any]:
    """Return Assay's own modules; the digest is of their listing as `sha256sum` would print it."""
    uri = f"pkg:generic/assay@{code['version']}"
    return _file("assay", code["sha256"]) | {"uri": uri}


def _outcome(number: int, facts: Mapping[str, Any]) -> dict[str, Any]:
    told = {
        "run": number,
        "verdict": facts["verdict"],
        "checked": facts["checked"],
        "rows": facts["rows"],
        "reasons": [reason["code"] for reason in facts["reasons"]],
    }
    content = entry.canonical(told)
    return {
        "name": "outcome.json",
        "mediaType": "application/json",
        "content": _base64(content),
        "annotations": {"assay_verdict": facts["verdict"]},
    }


def _zulu(moment: str) -> str:
    return moment.replace("+00:00", "Z")


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
