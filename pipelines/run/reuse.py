"""Which earlier pass may replace a new run: the newest, for the same inputs, and recent enough.

Everything that a verdict depends on must be the same: source, reference, contract, policy, code,
and the other files that the contract names. The verdict of a release has the age and the code of
the checks of the run that it was made from.
"""

import dataclasses
import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from checks.kit.contract_model import Contract, Policy
from pipelines.clock import now
from pipelines.learning import cases, corrections, in_force, teaching
from pipelines.run import named_files, reading
from pipelines.run.request import Prepared, Request, expand
from pipelines.store import decisions, high_water, keys, row_history, trust
from pipelines.store.decisions import History
from pipelines.store.store import RUN_KINDS, Store
from provenance.base import own_code
from provenance.base.errors import AssayError
from provenance.files import remote, safe_open
from provenance.files.checksum_file import recorded, refuse_other
from provenance.ledger.entry import Entry
from provenance.readers import partitions


def reusable(
    request: Request, prepared: Prepared, store: Store, oldest: dt.datetime
) -> Entry | None:
    """Return the newest run for the same inputs if it passed and is recent enough.

    Its files are not checked here but when they are used.

    Raises:
        AssayError: ASSAY-L001 to L008 and L012 if the ledger does not hold or was rolled back,
            I005 if a source differs from its checksum file, and the codes of reading a source.
    """
    contract, sources, references = prepared.contract, prepared.sources, prepared.reference
    trust.require_whole(store, request.checkpoint)
    if not store.ledger.numbers():
        return None
    tests = expand(contract.test_set) if contract.test_set else []
    if any(remote.is_url(name) for name in (*sources, *references, *tests)):
        return None  # the content of an object store is only known once it is read
    if contract.used("file"):
        return None  # files beside the table are only known once they are read
    wanted = (
        contract.sha256,
        own_code.sha256(),
        _recorded(request.policy(contract)),
        # the names of folders are part of what was checked
        [(_digest(name, contract), partitions.of(name)) for name in sources],
        [_digest(name, contract) for name in references],
        _named(contract),
    )
    entries = list(store.ledger.entries())
    runs = {entry.seq: entry for entry in entries if entry.kind in RUN_KINDS}
    upto = decisions.last_review(entries, contract.name)
    first = high_water.reusable_from(store)
    for entry in reversed([entry for entry in runs.values() if entry.seq >= first]):
        base = runs[row_history.base_of(entry)]
        checked = base.facts
        if _given(entry.facts, checked) == wanted:
            is_recent = (
                oldest <= dt.datetime.fromisoformat(checked["time"]) <= dt.datetime.now(dt.UTC)
            )
            is_good = is_recent and entry.facts["verdict"] == "pass"
            is_good = is_good and _has_all_decisions(store, entry, upto)
            return entry if is_good and _has_learnt_all(store, base, contract, upto) else None
    return None


def _has_all_decisions(store: Store, entry: Entry, upto: int) -> bool:
    """Return whether no decision on a row of a run came since, and none that it applied expired.

    `upto` is the number of the dataset's last review.
    """
    decided = entry.facts.get("decided", {})
    until = decided.get("until", "")
    if until and now() >= until:
        return False
    known = decided.get("upto", 0)
    return known == upto or not decisions.concern(store, entry, known)


def _has_learnt_all(store: Store, checked: Entry, contract: Contract, upto: int) -> bool:
    """Return whether the decisions of today teach what they taught the run that was checked.

    `upto` is the number of the dataset's last review.
    """
    before = checked.facts.get("learnt", {})
    if not upto:
        return not before
    history = in_force.of(History.of(store, contract.name), contract)
    cuts = teaching.of(cases.of(store, history), history, contract).facts()
    if cuts != [{k: v for k, v in cut.items() if k != "rows"} for cut in before.get("cuts", [])]:
        return False
    files = store.reader(checked)
    if not files.is_there():
        return False
    corrected = corrections.of(history, contract, lambda: decisions.rows_of(files, checked))
    return bool(corrected.sha256 == before.get("corrected_sha256", ""))


def _given(facts: Mapping[str, Any], checked: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what a verdict depends on; `checked` are the facts of the run whose checks it uses."""
    return (
        facts["contract"]["sha256"],
        checked["code"]["sha256"],
        facts["policy"],
        [(item["sha256"], partitions.of(item["name"])) for item in facts["inputs"]],
        [item["sha256"] for item in facts["reference"]],
        facts.get("beside", {}),
    )


def _recorded(policy: Policy) -> dict[str, Any]:
    """Return a policy as an entry holds it, where tuples are lists."""
    facts: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(policy)))
    return facts


def _named(contract: Contract) -> dict[str, str] | None:
    """Return the digests of the files that the contract names; None if one cannot be read."""
    try:
        return named_files.digests(contract, keys.own)
    except AssayError as error:
        if error.code != "ASSAY-K003":
            raise
        return None


def _digest(name: str, contract: Contract) -> str:
    wanted, limits = recorded(name), reading.source_limits(contract)
    with safe_open.Opened(name, limits) as file:  # refuses a pipe, a device, an endless file
        digest = file.digest()
    refuse_other(name, digest, wanted)
    return digest
