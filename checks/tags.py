"""Tags of tokens: a row must have one tag for each token.

Threat: degradation by a broken export or a tool that cut lists. State: none. Cost: one pass.
Nulls: a row without tokens or tags is left to `required`; a null among the tags is a fault.
Blind to: tags that are wrong but as many as the tokens.
"""

from typing import ClassVar

import numpy as np

from checks.kit import findings
from checks.kit.protocol import Context, Explains, Explanation, Model
from checks.kit.row_check import RowCheck
from provenance.rows.arrow_bytes import whole
from provenance.rows.nested import as_list, rows_with, sizes
from provenance.rows.shards import Shard

_ADVICE = "annotate the row again, or reject it"


class Tags(RowCheck):
    """Find rows whose tags and tokens do not correspond."""

    name: ClassVar[str] = "tags"
    threats: ClassVar[tuple[str, ...]] = ("drift and degradation",)
    needs: ClassVar[frozenset[str]] = frozenset({"tags"})
    is_of_role: ClassVar[bool] = True
    explains: ClassVar[Explains] = {
        "tags.length": Explanation(
            ("error",), "The row does not have one tag for each token.",
            "The lists of the roles `tokens` and `tags` differ in length.",
            f"{_ADVICE.capitalize()}.",
        ),
        "tags.gap": Explanation(
            ("error",), "A tag is missing.", "The list of tags holds a null.",
            f"{_ADVICE.capitalize()}.",
        ),
    }  # fmt: skip

    def __init__(self, context: Context) -> None:
        """Choose the columns."""
        super().__init__(context)
        self.tokens = context.contract.having("tokens")
        self.tags = context.contract.having("tags")

    def score(self, shard: Shard, model: Model) -> findings.Findings:  # noqa: ARG002
        """Report the rows whose tags do not fit."""
        cells = {
            name: as_list(whole(shard.nested[name]))
            for name in (*self.tags, *self.tokens)
            if name in shard.nested.column_names
        }
        found = [findings.empty()]
        for name in self.tags:
            if name not in cells:
                continue
            tags = cells[name]
            gaps = rows_with(tags, np.asarray(tags.flatten().is_null()))
            found.append(self._rows(shard.rows[gaps], name, "gap", "a tag is missing"))
            for other in self.tokens:
                if other in cells:
                    both = np.asarray(tags.is_valid()) & np.asarray(cells[other].is_valid())
                    mask = both & (sizes(tags) != sizes(cells[other]))
                    says = f"the row has not as many tags as {other}"
                    found.append(self._rows(shard.rows[mask], name, "length", says))
        return findings.concat(found)

    def _rows(self, rows: np.ndarray, column: str, rule: str, says: str) -> findings.Findings:
        return findings.make(
            rows, check=self.name, rule=f"tags.{rule}", column=column, evidence=says,
            suggestion=_ADVICE,
        )  # fmt: skip
