"""Tags of tokens: one tag for each token, and no entity that is continued before it begins.

Threat: degradation by a broken export or a tool that cut lists. State: rows by column, and how many
have such an entity. Cost: two passes, O(tags).
Nulls: a row without tokens or tags is left to `required`; a null among the tags is a fault.
Blind to: tags that are wrong but as many as the tokens; entities in tags that are numbers. Where
more than one row in 20 continues an entity that has not begun, the scheme is another one (such as
IOB1): one warning says so, and no row is held.
Source: the scheme IOB2 (Ramshaw, Marcus 1995; Tjong Kim Sang, Veenstra 1999).
"""

import dataclasses
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import conventions, findings
from checks.kit.protocol import Check, Context, Explains, Explanation, Model
from provenance.rows.arrow_bytes import whole
from provenance.rows.nested import as_list, is_text, owners_of, rows_with, sizes
from provenance.rows.shards import Shard

_ADVICE = "annotate the row again, or reject it"
_BEGIN = "a tag continues an entity (I-) that no tag before it begins or continues"
Counts = dict[str, tuple[int, int]]  # by column: rows with tags, and those with such a tag


@dataclasses.dataclass(frozen=True)
class Schemes(Model):
    """The columns in which an entity must begin before it is continued."""

    strict: frozenset[str] = frozenset()


class Tags(Check[Counts, Schemes]):
    """Find rows whose tags and tokens do not correspond."""

    name: ClassVar[str] = "tags"
    threats: ClassVar[tuple[str, ...]] = ("drift and degradation",)
    needs: ClassVar[frozenset[str]] = frozenset({"tags"})
    is_of_role: ClassVar[bool] = True
    explains: ClassVar[Explains] = {
        "tags.length": Explanation(
            ("error",), "The row does not have one tag for each token.",
            "The lists in the columns with the roles `tokens` and `tags` differ in length.",
            f"{_ADVICE.capitalize()}.",
        ),
        "tags.gap": Explanation(
            ("error",), "A tag is missing.", "The list of tags holds a null.",
            f"{_ADVICE.capitalize()}.",
        ),
        "tags.begin": Explanation(
            ("error", "warning"), f"In this row, {_BEGIN}.",
            "A tag such as `I-PER` does not follow `B-PER` or `I-PER`. If more than one row in 20 "
            "is like that, the dataset uses another scheme, and a single warning says so.",
            f"{_ADVICE.capitalize()}.",
        ),
    }  # fmt: skip

    def __init__(self, context: Context) -> None:
        """Choose the columns."""
        super().__init__(context)
        self.tokens = context.contract.having("tokens")
        self.tags = context.contract.having("tags")

    def fit(self, shard: Shard) -> Counts:
        """Count the rows with tags, and those that continue what has not begun."""
        found = {}
        for name in self.tags:
            if name in shard.nested.column_names:
                cells = as_list(whole(shard.nested[name]))
                found[name] = (int((sizes(cells) > 0).sum()), int(unbegun(cells).sum()))
        return found

    def merge(self, left: Counts, right: Counts) -> Counts:
        """Add the counts."""
        none = (0, 0)
        return {
            name: tuple(map(sum, zip(left.get(name, none), right.get(name, none), strict=True)))  # type: ignore[misc]
            for name in left.keys() | right.keys()
        }

    def finish(self, state: Counts) -> Schemes:
        """Tell faults from another scheme."""
        overall, strict = [findings.empty()], set()
        for name, (rows, wrong) in sorted(state.items()):
            if not conventions.is_one(wrong, rows):
                strict.add(name)
                continue
            advice = "check that your model reads this scheme"
            overall.append(conventions.told("tags.begin", name, wrong, rows, _BEGIN, advice))
        return Schemes(findings.concat(overall), strict=frozenset(strict))

    def score(self, shard: Shard, model: Schemes) -> findings.Findings:
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
            if name in model.strict:
                found.append(self._rows(shard.rows[unbegun(tags)], name, "begin", _BEGIN))
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


def unbegun(cells: pa.Array) -> np.ndarray:
    """Return which lists of tags continue an entity that has not begun: bool, shape (n,)."""
    items = cells.flatten()
    if not is_text(items.type) or not len(items):
        return np.zeros(len(cells), bool)
    tags = pc.fill_null(items.cast(pa.string()), "")
    is_inside = pc.starts_with(tags, "I-").to_numpy(zero_copy_only=False)
    is_entity = is_inside | pc.starts_with(tags, "B-").to_numpy(zero_copy_only=False)
    kinds = pc.utf8_slice_codeunits(tags, 2).dictionary_encode().indices.to_numpy()
    owners = owners_of(cells)
    goes_on = np.zeros(len(kinds), bool)
    goes_on[1:] = (owners[1:] == owners[:-1]) & is_entity[:-1] & (kinds[1:] == kinds[:-1])
    return rows_with(cells, is_inside & ~goes_on)
