"""A new value for a cell, checked by the contract before it is taken."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from checks.kit.contract_model import Column, Contract
from checks.rules import nested_rules
from provenance.base.errors import AssayError
from provenance.rows import cast
from provenance.rows.nested import Node

# rules on one cell that are judged here; expectations of Great Expectations on it are judged when a
# decision is recorded, and what compares rows or the whole dataset by the next run
JUDGED = frozenset(
    {"minimum", "maximum", "minLength", "maxLength", "pattern", "format", "validValues", "required",
     "nullValues"}
)  # fmt: skip


def require_valid(contract: Contract, name: str, value: str, what: str) -> None:
    """Refuse (ASSAY-C014) a value that the contract does not allow in a column.

    Args:
        contract: of the run.
        name: of the column.
        value: as a person wrote it.
        what: of the value, for the message: such as "the new label".
    """
    column = next((each for each in contract.columns if each.name == name), None)
    if column is None:
        names = ", ".join(each.name for each in contract.columns)
        raise AssayError("C014", f"the contract has no column {name!r}", fix=f"name one of {names}")
    if column.spec.is_nested:
        what = f"the column {name!r} is nested, and its cells cannot be corrected one by one"
        raise AssayError("C014", what, fix="reject the row, or repair the source and run again")
    cells, codes = cast.cast(pa.array([value]), column.spec)
    if codes[0].is_valid or not cells[0].is_valid:
        kind = column.spec.logical
        raise AssayError("C014", f"{what} is not a value of the type {kind}", fix=_listed(column))
    if column.valid_values and value not in {str(each) for each in column.valid_values}:
        raise AssayError("C014", f"{what} is not one of the valid values", fix=_listed(column))
    node = Node(name, cells, np.zeros(1, np.int64))
    for rule in contract.rules:
        is_ours = rule.column == name and rule.kind in JUDGED and "bound" not in rule.params
        if is_ours and rule.severity == "error" and nested_rules.broken(node, rule).any():
            fix = f"give a value that keeps it, or change the contract ({rule.where})"
            raise AssayError("C014", f"{what} breaks the rule {rule.id}", fix=fix)


class Allowed:
    """Says whether a contract allows new values of cells; each value is judged once."""

    def __init__(self, contract: Contract) -> None:
        """Judge by a contract."""
        self._contract = contract
        self._known: dict[tuple[str, str], bool] = {}

    def __call__(self, changes: Mapping[str, str]) -> bool:
        """Return whether all new values, by column, are allowed."""
        return all(self._allows(*change) for change in changes.items())

    def _allows(self, column: str, value: str) -> bool:
        if (column, value) not in self._known:
            try:
                require_valid(self._contract, column, value, "the value")
                self._known[column, value] = True
            except AssayError:
                self._known[column, value] = False
        return self._known[column, value]


def _listed(column: Column) -> str:
    values = column.valid_values
    return (
        f"write one of {', '.join(map(str, values))}" if values else "write it as the source does"
    )
