"""Embeddings: vectors of another length, with gaps, of zeros, or of an absurd norm.

Threat: degradation by a broken export. State: up to 10,000 lengths with counts and a bounded sample
of norms by column. Cost: two passes, O(numbers). Nulls: a missing vector is left to `required`.
Blind to: vectors of the right length and norm that mean something else; copies (`duplicates`).
NaN and infinities are quarantined at ingest (ASSAY-V001, V002).
"""

import dataclasses
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import findings, sample
from checks.kit.protocol import Check, Context, Explains, Explanation, Model
from checks.kit.wording import count, percent
from provenance.rows.arrow_bytes import whole
from provenance.rows.nested import as_list, sizes
from provenance.rows.shards import Shard

SAMPLE = 4_096  # rows for the median of the norms
MOST_LENGTHS = 10_000
USUAL = 0.9  # of the vectors have one length
TIMES = 100.0  # times the median norm, or a part of it
_ADVICE = "embed the row again with the same model, or reject it"


@dataclasses.dataclass(frozen=True)
class State:
    """Rows by length, and a sample of norms, by column."""

    lengths: dict[str, dict[int, int]]
    norms: pa.Table


@dataclasses.dataclass(frozen=True)
class Usual(Model):
    """The usual length and the median norm by column, where there is one."""

    length: dict[str, int] = dataclasses.field(default_factory=dict)
    norm: dict[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Vectors:
    """Facts about the vectors of a column, each of shape (n,).

    Attributes:
        is_there: bool; lengths: int64; has_gap: bool, a number is null; norms: float64.
    """

    is_there: np.ndarray
    lengths: np.ndarray
    has_gap: np.ndarray
    norms: np.ndarray


class Embeddings(Check[State, Usual]):
    """Find vectors that do not belong to the others."""

    name: ClassVar[str] = "embeddings"
    threats: ClassVar[tuple[str, ...]] = ("drift and degradation",)
    needs: ClassVar[frozenset[str]] = frozenset({"embedding"})
    is_of_role: ClassVar[bool] = True
    explains: ClassVar[Explains] = {
        "embeddings.length": Explanation(
            ("error",),
            "The vector's length differs from that of the others, or no length predominates.",
            "At least 90% of the vectors have the same length and this one does not, or no single "
            "length is shared by 90% of them.",
            f"{_ADVICE.capitalize()}.",
        ),
        "embeddings.gap": Explanation(
            ("error",), "A number of the vector is missing.", "The list holds a null.",
            f"{_ADVICE.capitalize()}.",
        ),
        "embeddings.zero": Explanation(
            ("error",), "The vector is zero, so it has no direction.",
            "All its numbers are 0, and those of most vectors are not.", f"{_ADVICE.capitalize()}.",
        ),
        "embeddings.norm": Explanation(
            ("warning",), "The vector is far longer or shorter than the others.",
            "Its Euclidean norm is more than 100 times the median, or less than a hundredth.",
            f"{_ADVICE.capitalize()}.",
        ),
    }  # fmt: skip

    def __init__(self, context: Context) -> None:
        """Choose the columns."""
        super().__init__(context)
        self.columns = list(context.contract.having("embedding"))

    def fit(self, shard: Shard) -> State:
        """Count the lengths and sample the norms."""
        lengths, norms = {}, {}
        for name in self.columns:
            if name in shard.nested.column_names:
                vectors = vectors_of(shard.nested[name])
                lengths[name] = _counted(vectors.lengths[vectors.is_there])
                gone = ~vectors.is_there | vectors.has_gap
                norms[name] = pa.array(vectors.norms, pa.float64(), mask=gone)
            else:
                norms[name] = pa.nulls(len(shard.rows), pa.float64())
        drawn = sample.take(dataclasses.replace(shard, table=pa.table(norms)), [*norms], SAMPLE)
        return State(lengths, drawn)

    def merge(self, left: State, right: State) -> State:
        """Add the counts and join the samples."""
        names = left.lengths.keys() | right.lengths.keys()
        lengths = {n: _added(left.lengths.get(n, {}), right.lengths.get(n, {})) for n in names}
        return State(lengths, sample.merge(left.norms, right.norms, SAMPLE))

    def finish(self, state: State) -> Usual:
        """Find the usual length and norm of each column."""
        overall, length, norm = [findings.empty()], {}, {}
        for name, counts in sorted(state.lengths.items()):
            total = sum(counts.values())
            if not total:
                continue
            usual = max(counts, key=lambda size: (counts[size], -size))
            if counts[usual] >= USUAL * total:
                length[name] = usual
            else:
                overall.append(self._no_length(name, counts[usual], total))
            values = state.norms[name].drop_null().to_numpy()
            values = values[np.isfinite(values)]
            if len(values) and (median := float(np.median(values))) > 0:
                norm[name] = median
        return Usual(findings.concat(overall), length=length, norm=norm)

    def score(self, shard: Shard, model: Usual) -> findings.Findings:
        """Report the vectors that differ."""
        found = [findings.empty()]
        for name in self.columns:
            if name not in shard.nested.column_names:
                continue
            vectors = vectors_of(shard.nested[name])
            usual, median = model.length.get(name), model.norm.get(name)
            is_other = vectors.is_there & (vectors.lengths != (-1 if usual is None else usual))
            if usual is not None:
                says = f"the vector does not have {usual:,} numbers, as nearly all others do"
                found.append(self._rows(shard.rows[is_other], name, "length", says))
            gaps = vectors.is_there & vectors.has_gap
            found.append(self._rows(shard.rows[gaps], name, "gap", "a number is missing"))
            if median is None:
                continue
            whole_ = vectors.is_there & ~vectors.has_gap & (vectors.lengths > 0)
            zero = whole_ & (vectors.norms == 0)
            found.append(self._rows(shard.rows[zero], name, "zero", "all numbers are 0"))
            far = (vectors.norms > TIMES * median) | (vectors.norms * TIMES < median)
            says = f"the norm is more than {TIMES:.0f} times the median, or less than a hundredth"
            rows = shard.rows[whole_ & far & ~zero]
            found.append(self._rows(rows, name, "norm", says, "warning"))
        return findings.concat(found)

    def _no_length(self, column: str, rows: int, total: int) -> findings.Findings:
        says = f"only {percent(rows / total, 1)} of {count(total, 'vector')} have the commonest "
        return findings.make(
            None, check=self.name, rule="embeddings.length", column=column,
            evidence=f"{says}length, so they cannot come from one model",
            suggestion="embed all rows with one model, or remove the role embedding",
        )  # fmt: skip

    def _rows(
        self, rows: np.ndarray, column: str, rule: str, says: str, severity: str = "error"
    ) -> findings.Findings:
        return findings.make(
            rows, check=self.name, rule=f"embeddings.{rule}", column=column, severity=severity,
            evidence=says, suggestion=_ADVICE,
        )  # fmt: skip


def vectors_of(column: pa.ChunkedArray) -> Vectors:
    """Return facts about the vectors of a column."""
    cells = as_list(whole(column))
    lengths, numbers = sizes(cells), cells.flatten()
    owners = np.repeat(np.arange(len(cells)), lengths)
    has_gap = np.zeros(len(cells), bool)
    has_gap[owners[np.asarray(numbers.is_null())]] = True
    values = pc.fill_null(numbers.cast(pa.float64(), safe=False), 0.0)
    flat = values.to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):
        squares = np.bincount(owners, weights=flat * flat, minlength=len(cells))
    return Vectors(np.asarray(cells.is_valid()), lengths, has_gap, np.sqrt(squares))


def _counted(values: np.ndarray) -> dict[int, int]:
    found, counts = np.unique(values, return_counts=True)
    return _few(dict(zip(found.tolist(), counts.tolist(), strict=True)))


def _added(left: dict[int, int], right: dict[int, int]) -> dict[int, int]:
    return _few({key: left.get(key, 0) + right.get(key, 0) for key in left.keys() | right.keys()})


def _few(counts: dict[int, int]) -> dict[int, int]:
    """Keep the shortest lengths: beyond so many, none is usual."""
    return {key: counts[key] for key in sorted(counts)[:MOST_LENGTHS]}
