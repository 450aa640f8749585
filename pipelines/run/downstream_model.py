"""What a run's clean output is worth to a model, for the report.

Measured on a sample once all findings are known. The models are evaluated on the test set that the
contract names, else on the reference, else on the rows of the sample that no check flagged. It is
not part of the verdict: if it cannot be measured, the report says so and the run goes on.
"""

import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import encode, model_comparison, sample
from checks.kit.contract_model import Contract
from checks.kit.findings import Findings
from checks.kit.protocol import Context
from checks.kit.visible_columns import groups_of
from pipelines.checking.examine import Examined
from pipelines.report.facts import StampFacts, WorthFacts
from pipelines.run import examination
from pipelines.run.request import Plan

ROWS = 10_000
EVALUATED_ON = {
    "test": "the rows of the test set that the contract names",
    "reference": "the rows of the reference",
    "": (
        "rows of the same dataset that no check flagged, each predicted by models trained on the "
        "other half; these rows are not known to be right, and checks of this run chose them"
    ),
}


def measured(
    plan: Plan, contract: Contract, found: Findings, held: np.ndarray, examined: Examined
) -> WorthFacts | None:
    """Return what the report shows, None without a label or if the option `worth` is off.

    Args:
        plan: where to read.
        contract: of the run.
        found: all findings.
        held: int64 ordinals of the rows that are not clean.
        examined: what the checks found and fitted.
    """
    if not contract.label or contract.is_off("labels"):
        return None
    if contract.options("labels").get("worth") is False:
        return None
    stamps = () if contract.label in contract.protected else _stamps(examined)
    try:
        made, role = _compared(plan, contract, found, held)
    except Exception as error:  # noqa: BLE001  a run does not fail because of a comparison
        return WorthFacts(model_comparison.Worth(f"it raised {type(error).__name__}"), "", stamps)
    return WorthFacts(made, EVALUATED_ON[role], stamps)


def _compared(
    plan: Plan, contract: Contract, found: Findings, gone: np.ndarray
) -> tuple[model_comparison.Worth, str]:
    label = str(contract.label)
    if label in contract.protected:
        return model_comparison.Worth("the label is protected"), ""
    table = examination.sampled(plan, "source", ROWS, contract)
    if table is None or label not in table.column_names:
        return model_comparison.Worth("there are no rows with a label"), ""
    row = table[sample.ROW].to_numpy()
    held = np.isin(row, gone)
    kinds = encode.kinds(_without_telling(contract, table, found), table)
    role, evaluated = _evaluation_rows(plan, contract, [*kinds, label])
    if evaluated is None:
        flagged = found.filter(pc.not_equal(found["severity"], "info"))["row"].drop_null()
        evaluated = ~np.isin(row, flagged.to_numpy())
    made = model_comparison.compare(
        table, kinds, label, held, evaluated, groups=groups_of(table, contract)
    )
    return made, role


def _evaluation_rows(
    plan: Plan, contract: Contract, names: list[str]
) -> tuple[str, pa.Table | None]:
    """Return test set or reference, the first that has all columns, with its name before it."""
    for role in ("test", "reference"):
        table = examination.sampled(plan, role, ROWS, contract)
        if table is not None and set(names) <= set(table.column_names):
            return role, table
    return "", None


def _without_telling(contract: Contract, table: pa.Table, found: Findings) -> Contract:
    # with a column that gives the label away, every model is right
    is_telling = pc.and_(pc.equal(found["check"], "leakage"), pc.equal(found["severity"], "error"))
    names = found.filter(is_telling)["column"].drop_null().unique().to_pylist()
    return Context(contract, table.schema, len(table)).without(names).contract


def _stamps(examined: Examined) -> tuple[StampFacts, ...]:
    """Return the quarantined triggers that were replayed, strongest first."""
    is_mined = any(one.check == "poison" and one.status == "ok" for one in examined.statuses)
    if examined.models is None or not is_mined:
        return ()
    mined = examined.models.read("poison.pkl")
    return tuple(
        StampFacts(tuple(c.column for c in trigger.conditions), str(trigger.label), *trigger.moved)
        for trigger in mined.triggers
        if trigger.severity == "error" and not any(map(math.isnan, trigger.moved))
    )
