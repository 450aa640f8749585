"""Lists of labels: a label must not occur twice in one row.

Threat: degradation by a broken join of annotations. State: none. Cost: one pass, O(n log n).
Nulls: a missing list is left to `required`, an empty one has no label; two nulls are equal.
Blind to: wrong labels; which labels exist (state `invalidValues` on the items).
"""

from typing import ClassVar

from checks.kit import findings
from checks.kit.protocol import Context, Explains, Explanation, Model
from checks.kit.row_check import RowCheck
from provenance.rows.arrow_bytes import whole
from provenance.rows.nested import repeats
from provenance.rows.shards import Shard

_ADVICE = "remove the repeated label at the source, or reject the row"


class LabelLists(RowCheck):
    """Find rows that name a label twice."""

    name: ClassVar[str] = "label_lists"
    threats: ClassVar[tuple[str, ...]] = ("drift and degradation",)
    needs: ClassVar[frozenset[str]] = frozenset({"labels"})
    is_of_role: ClassVar[bool] = True
    explains: ClassVar[Explains] = {
        "label_lists.repeated": Explanation(
            ("error",),
            "A label occurs twice in the row.",
            "Two items of the list are equal.",
            f"{_ADVICE.capitalize()}.",
        )
    }

    def __init__(self, context: Context) -> None:
        """Choose the columns."""
        super().__init__(context)
        self.columns = context.contract.having("labels")

    def score(self, shard: Shard, model: Model) -> findings.Findings:  # noqa: ARG002
        """Report the rows that name a label twice."""
        there = [name for name in self.columns if name in shard.nested.column_names]
        return findings.concat([self._repeated(shard, name) for name in there])

    def _repeated(self, shard: Shard, name: str) -> findings.Findings:
        return findings.make(
            shard.rows[repeats(whole(shard.nested[name]))],
            check=self.name,
            rule="label_lists.repeated",
            column=name,
            evidence="a label occurs twice",
            suggestion=_ADVICE,
        )
