"""What a check gives to draw, without personal data among its categories' names."""

import dataclasses

import pyarrow as pa

from checks.kit.contract_model import Contract
from checks.kit.protocol import Model, Panel
from checks.pii import columns, redact


def masked(model: Model, contract: Contract) -> Model:
    """Return the model with placeholders for the names of categories that are personal data."""
    return dataclasses.replace(model, panels=tuple(_masked(p, contract) for p in model.panels))


def _masked(panel: Panel, contract: Contract) -> Panel:
    names = pa.array(panel.categories, pa.string())
    if not len(names) or not columns(pa.table({panel.column: names}), contract):
        return panel  # numbers, or a column that the contract allows
    shown = redact(names, panel.column, contract).to_pylist()
    return dataclasses.replace(panel, categories=tuple(shown))
