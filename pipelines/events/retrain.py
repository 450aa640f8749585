"""The retrain signal: the data drifted, so a model trained on the old data becomes stale.

Sent when everything was checked and the check `drift` has an error: to the file or address in
`ASSAY_RETRAIN`, to Prefect as the event `assay.retrain` when the run is a flow, and as the exit
code of `assay run --retrain-exit`; never to an address that a contract names. It holds column names
and codes, and no cell.
"""

import contextlib
import sys
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from checks.kit.findings import Findings
from checks.kit.verdict import Verdict
from pipelines import config
from provenance.ledger.entry import Entry

CODES = ("ASSAY-K010", "ASSAY-K017")
EVENT = "assay.retrain"
FAULT = "ASSAY-E107"
LEAST_EXIT, MOST_EXIT = 5, 125  # Assay uses the codes below, a shell those above


def signal(entry: Entry, found: Findings, decided: Verdict) -> dict[str, Any] | None:
    """Return the signal of a run that drifted, None if it did not or was not fully checked."""
    is_drift = pc.and_(pc.equal(found["check"], "drift"), pc.equal(found["severity"], "error"))
    drifted = found.filter(pc.and_(is_drift, pc.is_in(found["rule"], pa.array(CODES))))
    if not decided.checked or not len(drifted):
        return None
    return {
        "schema": "assay.retrain/1",
        "dataset": entry.facts["dataset"],
        "run": entry.seq,
        "time": entry.facts["time"],
        "verdict": decided.word,
        "only_drift": is_only_drift(decided),
        "codes": sorted(set(drifted["rule"].to_pylist())),
        "columns": sorted(set(drifted["column"].drop_null().to_pylist())),
    }


def is_only_drift(decided: Verdict) -> bool:
    """Return whether drift is the only reason that a run failed."""
    return bool(decided.reasons) and all(reason.code in CODES for reason in decided.reasons)


def tell(told: Mapping[str, Any] | None, *, is_flow: bool) -> bool:
    """Send the signal to whoever asked for it; a failure is a warning on stderr.

    Args:
        told: from `signal`; None sends nothing.
        is_flow: whether a Prefect flow runs in this process.

    Returns:
        Whether an interrupt cut the waiting short; the run is committed by then.
    """
    if told is None:
        return False
    if is_flow:
        from pipelines.orchestration import flow

        _unless(flow.emit(EVENT, str(told["dataset"]), told))
    if not (place := config.retrain_target()):
        return False
    from pipelines.events.delivery import Sink

    sink = Sink(config.LineageTarget(place, ""), "the retrain signal", FAULT)
    sink.put(lambda: told)
    return sink.close()


def _unless(kind: str) -> None:
    """Warn that Prefect refused the signal, with the type of the error, if there was one."""
    if kind:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(
                f"warning {FAULT}: Prefect did not accept the retrain signal: {kind}\n"
            )
