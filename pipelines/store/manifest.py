"""The manifest of a run: an in-toto Statement v1 with SLSA provenance v1, plain and signed.

    manifest.json       the statement; its subjects are all files of the run except these two
    manifest.dsse.json  the same bytes in a DSSE envelope, signed with the ledger's key
The manifest travels with the clean dataset, so its file names reveal nothing about this machine:
they are relative to the contract's folder, or bare. docs/standards.md explains each field.
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
        number: of the run.
        facts: the entry's body.
        files: name and sha256 of every file of the run; they become the subjects.
        parents: the entries of the reviews whose decisions were applied; of a release, after that
            of its base run.
        key_id: of the signing key; it identifies the builder.
    """
    is_run = facts["kind"] == "run"
    built_by = facts.get("released_by", facts["code"])
    read = _examined(facts, parents) if is_run else _released(parents)
    named: dict[str, Any] = {role: [f["name"] for f in found] for role, found in read.items()}
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
                "resolvedDependencies": [*itertools.chain(*read.values()), _code(built_by)],
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


def _examined(
    facts: Mapping[str, Any], reviews: Sequence[Entry]
) -> dict[str, list[dict[str, Any]]]:
    """Return the files that a run read, by role."""
    path = Path(facts["contract"]["path"])
    read = {"contract": [_file(path.name, facts["contract"]["sha256"])]}
    for role, key in (("source", "inputs"), ("reference", "reference")):
        read[role] = [_file(_name(f["name"], path.parent), f["sha256"]) for f in facts[key]]
    return {**read, "review": _decisions(reviews)} if reviews else read


def _released(parents: Sequence[Entry]) -> dict[str, list[dict[str, Any]]]:
    """Return what a release read: the base run's manifest, which names its files, and reviews."""
    base, *reviews = parents
    run = f"runs/{base.seq:0{DIGITS}}/{FILE}"
    whole = next(item for item in base.facts["outputs"] if item["name"] == FILE)
    return {"run": [_file(run, whole["sha256"])], "review": _decisions(reviews)}


def _decisions(reviews: Sequence[Entry]) -> list[dict[str, Any]]:
    """Return the files of decisions."""
    files = [item for review in reviews for item in review.facts["outputs"]]
    return [_file(f"reviews/{item['name']}", item["sha256"]) for item in files]


def _file(name: str, sha256: str) -> dict[str, Any]:
    address = {"uri": name} if "://" in name else {}
    return {"name": name, **address, "digest": {"sha256": sha256}}


def _name(path: str, root: Path) -> str:
    """Return a path relative to `root` if it lies below it, else the bare name; a URL unchanged."""
    if "://" in path:
        return path
    real = Path(os.path.realpath(path))
    return real.relative_to(root).as_posix() if real.is_relative_to(root) else real.name


def _code(code: Mapping[str, str]) -> dict[str, Any]:
    """Return Assay's own modules; the digest covers their listing in the form of `sha256sum`."""
    uri = f"pkg:generic/assay@{code['version']}"
    return _file("assay", code["sha256"]) | {"uri": uri}


def _outcome(number: int, facts: Mapping[str, Any]) -> dict[str, Any]:
    outcome = {
        "run": number,
        "verdict": facts["verdict"],
        "checked": facts["checked"],
        "rows": facts["rows"],
        "reasons": [reason["code"] for reason in facts["reasons"]],
    }
    content = entry.canonical(outcome)
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
