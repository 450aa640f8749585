"""What the report draws of a column: its counts in the reference and now."""

import numpy as np
import pyarrow as pa

from checks.drift.bins import Bins, even, named
from checks.drift.effects import LIMITS, Effect
from checks.kit import findings
from checks.kit.contract_model import Column, Contract
from checks.kit.protocol import Panel


def panel(name: str, bins: Bins, counts: np.ndarray, effects: list[Effect]) -> Panel:
    """Return a column's counts and its worst effect, for the report to draw."""
    worst = max(effects, key=lambda e: e.size / LIMITS[e.name][1])
    size = bins.size + (bins.kind == "category")  # new categories are a bin of their own
    before, now = bins.reference, counts
    missing = [float(c[bins.size + 1] / max(c[: bins.size + 2].sum(), 1)) for c in (before, now)]
    return Panel(
        column=name,
        edges=tuple(bins.edges.tolist()),
        categories=tuple(map(str, bins.values.to_pylist())),
        reference=tuple(before[:size].tolist()),
        current=tuple(now[:size].tolist()),
        statistic=worst.name,
        value=round(worst.size, findings.DECIMALS),
        limit=LIMITS[worst.name][1],
        is_drifted=any(e.severity == "error" for e in effects),
        missing=(missing[0], missing[1]),
    )


def protected(name: str, bins: Bins, counts: np.ndarray, effects: list[Effect]) -> Panel:
    """Return the counts of a protected column over bins that tell nothing of it themselves."""
    size = bins.size + (bins.kind == "category")
    return Panel(
        column=name,
        edges=tuple(bins.edges.tolist()),
        categories=tuple(map(str, bins.values.to_pylist())),
        reference=tuple(bins.reference[:size].tolist()),
        current=tuple(counts[:size].tolist()),
        statistic="",
        value=None,
        limit=None,
        is_drifted=any(e.severity == "error" for e in effects),
        missing=None,
        absent=(int(bins.reference[bins.size + 1]), int(counts[bins.size + 1])),
        is_protected=True,
    )


def public(array: pa.Array, column: Column, contract: Contract) -> Bins | None:
    """Return bins of a protected column from what the contract declares, None if it does not."""
    if not column.is_protected:
        return None
    if column.valid_values is not None:
        try:
            return named(array, column.valid_values)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            return None
    ends = {r.kind: r.params["value"] for r in contract.rules if r.column == column.name and r.kind
            in ("minimum", "maximum")}  # fmt: skip
    is_plain = pa.types.is_integer(array.type) or pa.types.is_floating(array.type)
    if is_plain and len(ends) == 2 and ends["minimum"] < ends["maximum"]:  # noqa: PLR2004
        return even(array, ends["minimum"], ends["maximum"])
    return None
