"""Spans of a text: each must lie in it.

Threat: degradation by a tool that cut or cleaned the texts. State: none. Cost: one pass.
Nulls: a row without spans is left to `required`; a missing start or end is a fault.
Blind to: spans that are wrong but lie in the text, or overlap; offsets that count bytes or UTF-16
units, where they still lie in the text. Without a column of the role `text`, only start and end are
compared.
"""

from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import findings
from checks.kit.protocol import Context, Explains, Explanation, Model
from checks.kit.row_check import RowCheck
from provenance.rows.arrow_bytes import whole
from provenance.rows.nested import as_list, is_text, owners_of, rows_with
from provenance.rows.shards import Shard

_ADVICE = "annotate the row again, or reject it"


class Spans(RowCheck):
    """Find rows with a span outside of their text."""

    name: ClassVar[str] = "spans"
    threats: ClassVar[tuple[str, ...]] = ("drift and degradation",)
    needs: ClassVar[frozenset[str]] = frozenset({"spans"})
    is_of_role: ClassVar[bool] = True
    explains: ClassVar[Explains] = {
        "spans.outside": Explanation(
            ("error",),
            "A span does not lie in the text.",
            "Its start is negative or missing, its end is not behind its start, or its end is "
            "behind the last character of the first column of the role `text`.",
            f"{_ADVICE.capitalize()}.",
        )
    }

    def __init__(self, context: Context) -> None:
        """Choose the columns."""
        super().__init__(context)
        self.spans = context.contract.having("spans")
        self.texts = context.contract.having("text")

    def score(self, shard: Shard, model: Model) -> findings.Findings:  # noqa: ARG002
        """Report the rows with a span outside of their text."""
        schema = shard.table.schema
        there = [name for name in self.texts if name in schema.names]
        text = next((name for name in there if is_text(schema.field(name).type)), None)
        lengths = None if text is None else _lengths(whole(shard.table[text]))
        found = [findings.empty()]
        for name in self.spans:
            if name in shard.nested.column_names:
                rows = shard.rows[outside(shard.nested[name], lengths)]
                found.append(
                    findings.make(
                        rows,
                        check=self.name,
                        rule="spans.outside",
                        column=name,
                        evidence="a span does not lie in the text",
                        suggestion=_ADVICE,
                    )
                )
        return findings.concat(found)


def _lengths(texts: pa.Array) -> pa.Array:
    is_coded = pa.types.is_dictionary(texts.type)
    return pc.utf8_length(texts.dictionary_decode() if is_coded else texts)


def outside(column: pa.ChunkedArray, lengths: pa.Array | None) -> np.ndarray:
    """Return the rows with a span that does not lie in their text: bool, shape (n,).

    Args:
        column: lists of structs with `start` and `end`, in characters, the end not included.
        lengths: of the texts, shape (n,); None if there is no text.
    """
    cells = as_list(whole(column))
    items = cells.flatten()
    parts = {field.name: part for field, part in zip(items.type, items.flatten(), strict=True)}
    owners = owners_of(cells)
    start, end = (
        pc.fill_null(parts[key].cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
        for key in ("start", "end")
    )
    wrong = (start < 0) | (end <= start)
    if lengths is not None:
        most = pc.fill_null(lengths, 0).to_numpy(zero_copy_only=False)
        wrong |= end > most[owners]
    return rows_with(cells, wrong)
