"""The panels of a check without personal data among the names of their categories."""

import dataclasses

import pyarrow as pa

from checks.kit import registry
from checks.kit.contract_model import Contract
from checks.kit.protocol import Model, Panel


def masked(model: Model, contract: Contract) -> Model:
    """Return the model with placeholders for the names of categories that are personal data."""
    return dataclasses.replace(model, panels=tuple(_masked(p, contract) for p in model.panels))


def _masked(panel: Panel, contract: Contract) -> Panel:
    names = pa.array(panel.categories, pa.string())
    if not len(names):
        return panel  # of numbers
    shown = registry.redact(names, panel.column, contract).to_pylist()
    return dataclasses.replace(panel, categories=tuple(shown))
