"""The retrain signal: the data drifted, so a model that learned from the old ones grows stale.

Raised when everything was checked and the check `drift` has an error. It goes to whoever asked: to
the file or address of `ASSAY_RETRAIN`, to Prefect as the event `assay.retrain` when a flow runs on
a server, and as the exit code of `assay run --retrain-exit`. Never to an address that a contract
names. It holds names of columns and codes, nothing of a cell.
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
LEAST_EXIT, MOST_EXIT = 5, 125  # below are Assay's own, above a shell's


def signal(entry: Entry, found: Findings, decided: Verdict) -> dict[str, Any] | None:
    """Return what to tell of a run that drifted, None if it did not or was not wholly checked."""
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
    """Return whether a run failed for drift alone."""
    return bool(decided.reasons) and all(reason.code in CODES for reason in decided.reasons)


def tell(told: Mapping[str, Any] | None, *, is_flow: bool) -> bool:
    """Hand the signal over to whoever asked for it; what goes wrong is a warning on stderr.

    Args:
        told: of `signal`; None is told to nobody.
        is_flow: whether a Prefect flow runs in this process.

    Returns:
        Whether an interrupt cut the waiting short; the run stands by then.
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
    """Warn of the kind of error that kept Prefect from taking the signal, if there was one."""
    if kind:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(f"warning {FAULT}: Prefect did not take the retrain signal: {kind}\n")
