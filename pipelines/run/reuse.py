"""Which pass of the past may stand for a new one: the same inputs, young enough, and the newest.

Everything that a verdict rests on must be the same: source, reference, contract, policy, code, and
what the contract names beside itself. A release's verdict is as old, and by the same code, as the
checks of the run that it was made from.
"""

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Any

from checks.kit.contract_model import Contract
from pipelines.run import named_files, reading, stages
from pipelines.run.request import Prepared, Request, expand
from pipelines.store import high_water, keys, row_history, trust
from pipelines.store.store import Store
from provenance.base import own_code
from provenance.base.errors import AssayError
from provenance.files import remote, safe_open
from provenance.files.checksum_file import recorded, refuse_other
from provenance.ledger.entry import Entry


def reusable(
    request: Request, prepared: Prepared, store: Store, oldest: dt.datetime
) -> Entry | None:
    """Return the newest run for the same inputs if it passed and is young enough.

    Its files are not looked at: whoever hands them on does.

    Raises:
        AssayError: ASSAY-L001 to L008 and L012 if the ledger does not hold or was turned back,
            I005 if a source is not what is recorded beside it, and what its reading refuses with.
    """
    contract, sources, references = prepared.contract, prepared.sources, prepared.reference
    trust.require_whole(store, request.checkpoint)
    if not store.ledger.numbers():
        return None
    tests = expand(contract.test_set) if contract.test_set else []
    if any(remote.is_url(name) for name in (*sources, *references, *tests)):
        return None  # what a store holds is only known once it is read
    wanted = (
        contract.sha256,
        own_code.facts()["sha256"],
        dataclasses.asdict(stages.policy_of(contract, request.fail_on)),
        [_digest(name, contract) for name in sources],
        [_digest(name, contract) for name in references],
        _beside(contract),
    )
    runs = {entry.seq: entry for entry in store.runs()}
    first = high_water.reusable_from(store)
    for entry in reversed([entry for entry in runs.values() if entry.seq >= first]):
        checked = runs[row_history.base_of(entry)].facts
        if _given(entry.facts, checked) == wanted:
            is_young = (
                oldest <= dt.datetime.fromisoformat(checked["time"]) <= dt.datetime.now(dt.UTC)
            )
            return entry if is_young and entry.facts["verdict"] == "pass" else None
    return None


def _given(facts: Mapping[str, Any], checked: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what a verdict rests on; `checked` are the facts of the run whose checks it took."""
    return (
        facts["contract"]["sha256"],
        checked["code"]["sha256"],
        facts["policy"],
        [item["sha256"] for item in facts["inputs"]],
        [item["sha256"] for item in facts["reference"]],
        facts.get("beside", {}),
    )


def _beside(contract: Contract) -> dict[str, str] | None:
    """Return the digests of what the contract names; None, which no run has, without any."""
    try:
        return named_files.digests(contract, keys.own)
    except AssayError as error:
        if error.code != "ASSAY-K003":
            raise
        return None


def _digest(name: str, contract: Contract) -> str:
    wanted, limits = recorded(name), reading.source_limits(contract)
    with safe_open.Opened(name, limits) as file:  # no pipe, no device, no endless file
        digest = file.digest()
    refuse_other(name, digest, wanted)
    return digest
