"""The texts of a shard: of flat columns, and of nested ones by path."""

import dataclasses
from collections.abc import Collection, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance.rows import nested
from provenance.rows.arrow_bytes import whole
from provenance.rows.shards import Shard


@dataclasses.dataclass(frozen=True, slots=True)
class Texts:
    """The texts at one path.

    Attributes:
        path: name of a flat column, or path such as `messages[].content`.
        unique: the different texts, large_string, shape (u,), without null.
        codes: int64, shape (m,), place in `unique` of each text that is not null.
        owners: int64, shape (m,), index of the row of each.
    """

    path: str
    unique: pa.Array
    codes: np.ndarray
    owners: np.ndarray

    def rows(self, chosen: np.ndarray, count: int) -> np.ndarray:
        """Return which of `count` rows have one of the chosen texts (bool, shape (u,))."""
        found = np.zeros(count, bool)
        found[self.owners[chosen[self.codes]]] = True
        return found


def texts_of(shard: Shard, flat: Collection[str]) -> Iterator[Texts]:
    """Yield the texts of the named flat columns, and of every nested column."""
    for name in shard.table.column_names:
        if name in flat and nested.is_text(shard.table.schema.field(name).type):
            yield _texts(nested.Node(name, whole(shard.table[name]), np.arange(len(shard.rows))))
    yield from nested_texts(shard)


def nested_texts(shard: Shard) -> Iterator[Texts]:
    """Yield the texts of every nested column."""
    for name in shard.nested.column_names:
        for leaf in nested.leaves(shard.nested[name], name):
            if nested.is_text(leaf.values.type):
                yield _texts(leaf)


def _texts(leaf: nested.Node) -> Texts:
    is_there = np.asarray(leaf.values.is_valid())
    values = leaf.values.cast(pa.large_string()).drop_null()
    coded = pc.dictionary_encode(values)
    codes = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return Texts(leaf.path, coded.dictionary, codes, leaf.owners[is_there])
