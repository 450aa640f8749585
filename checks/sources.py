"""Source contrast: a source whose labels are not what its rows' columns lead one to expect.

Threat: data poisoning by one supplier. State: hash-ranked sample of 30,000 rows (option `sample`).
Cost: two folds of one model per label class on the sample (binary labels: one class).
Nulls: rows without a label or source are left out; missing features stay missing.
Blind to: a source that poisons few of its rows; sources under 50 rows of the sample; a shift that
all sources share (see drift). A source whose kind of rows no other supplies may look odd.
Source: direct standardisation (observed against expected), with the noise of chance taken off.
"""

import dataclasses
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import findings, sample, sketches
from checks.kit.options import Takes
from checks.kit.protocol import Check, Context, Model
from provenance.shards import Shard

LEAST = 50
MOST_CLASSES = 10
NOISE = 5.0  # standard deviations that are put down to chance
GAP = 0.05  # of the rows, beyond chance and beyond what sources usually differ
ROUNDS = 40


@dataclasses.dataclass(frozen=True, slots=True)
class Contrast:
    """One source and label: share of rows with the label, share expected, what chance allows."""

    source: str
    label: object
    rows: int
    seen: float
    expected: float
    noise: float


class Sources(Check[pa.Table, Model]):
    """Compare each source's labels with those that a model of the other columns expects."""

    name: ClassVar[str] = "sources"
    threats: ClassVar[tuple[str, ...]] = ("data poisoning",)
    needs: ClassVar[frozenset[str]] = frozenset({"source", "label"})
    takes: ClassVar[Takes] = {"sample": "whole"}

    def __init__(self, context: Context) -> None:
        """Choose the columns that are there."""
        super().__init__(context)
        contract, names = context.contract, set(context.schema.names)
        self.label = str(contract.label)
        self.source = contract.having("source")[0]
        self.features = [
            f.name for f in context.schema if f.name in contract.features and _is_usable(f.type)
        ]
        self.columns = [n for n in (*self.features, self.label, self.source) if n in names]
        self.size = int(self.options.get("sample", 30_000))

    def fit(self, shard: Shard) -> pa.Table:
        """Return the shard's part of the sample."""
        return sample.take(shard, self.columns, self.size)

    def merge(self, left: pa.Table, right: pa.Table) -> pa.Table:
        """Keep the rows of lowest rank of both."""
        return sample.merge(left, right, self.size)

    def finish(self, state: pa.Table) -> Model:
        """Report the sources whose labels differ from what is expected."""
        rows = sample.settled(state)
        rows = rows.filter(pc.and_(pc.is_valid(rows[self.label]), pc.is_valid(rows[self.source])))
        labels = sketches.whole(rows[self.label]).dictionary_encode()
        if rows.num_rows < 2 * LEAST or not 1 < len(labels.dictionary) <= MOST_CLASSES:
            return Model(notes=("Sources were not compared: too few rows or too many labels.",))
        found = self._contrasts(rows, labels)
        gaps = np.array([abs(c.seen - c.expected) for c in found])
        usual = float(np.median(gaps)) if len(gaps) else 0.0
        parts = [
            self._finding(contrast)
            for contrast, gap in zip(found, gaps, strict=True)
            if gap - contrast.noise >= GAP + 2 * usual
        ]
        return Model(overall=findings.concat(parts))

    def score(self, shard: Shard, model: Model) -> findings.Findings:
        """Report nothing: the contrast is of sources, not of rows."""
        del shard, model
        return findings.empty()

    def _contrasts(self, rows: pa.Table, labels: pa.DictionaryArray) -> list[Contrast]:
        codes = labels.indices.to_numpy(zero_copy_only=False)
        sources = sketches.whole(rows[self.source]).cast(pa.string()).dictionary_encode()
        owner = sources.indices.to_numpy(zero_copy_only=False)
        names = sources.dictionary.to_pylist()
        shown = _matrix(rows, self.features)
        folds = owner % 2  # a source is judged by a model that learnt from other sources only
        classes = range(1 if len(labels.dictionary) == 2 else len(labels.dictionary))  # noqa: PLR2004
        found = []
        for number in classes:
            target = codes == number
            expected = _expected(shown, target, folds, self.context.seed)
            for place, name in enumerate(names):
                mine = owner == place
                if mine.sum() >= LEAST:
                    found.append(
                        _contrast(name, labels.dictionary[number], target[mine], expected[mine])
                    )
        return sorted(found, key=lambda c: (c.source, str(c.label)))

    def _finding(self, contrast: Contrast) -> findings.Findings:
        text = (
            f"A source with {contrast.rows} rows of the sample has the label {contrast.label!r} in "
            f"{contrast.seen:.1%} of them; the other columns foretell {contrast.expected:.1%}."
        )
        return findings.make(
            None,
            check=self.name,
            rule="sources.label_mix",
            severity="warning",
            column=self.source,
            score=min(1.0, abs(contrast.seen - contrast.expected)),
            evidence=text,
            suggestion="Group the labels by source, and ask that source how it labels.",
        )


def _is_usable(kind: pa.DataType) -> bool:
    plain = pa.types.is_string(kind) or pa.types.is_boolean(kind)
    return bool(sketches.is_number(kind) or plain)


def _matrix(rows: pa.Table, names: list[str]) -> np.ndarray:
    """Return the features as floats: shape (n, columns), categories by rank of frequency."""
    columns = [np.zeros(rows.num_rows)]
    for name in names:
        array = sketches.whole(rows[name])
        if sketches.is_number(array.type):
            values, usable = sketches.numbers(array)
            columns.append(np.where(usable, np.clip(values.astype(float), -1e150, 1e150), 0.0))
            continue
        codes = array.dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False)
        order = np.argsort(-np.bincount(codes + 1), kind="stable").argsort(kind="stable")
        columns.append(np.minimum(order[codes + 1], 200).astype(float))
    return np.column_stack(columns)


def _expected(shown: np.ndarray, target: np.ndarray, folds: np.ndarray, seed: int) -> np.ndarray:
    """Return each row's chance of the label by a model of the other fold."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    expected = np.full(len(target), float(target.mean()))
    for fold in range(2):
        learn = folds != fold
        if not learn.any() or not 0 < target[learn].sum() < learn.sum():
            continue
        model = HistGradientBoostingClassifier(
            max_iter=ROUNDS, max_leaf_nodes=15, early_stopping=False, random_state=seed
        )
        with threadpool_limits(1):
            model.fit(shown[learn], target[learn])
            if (~learn).any():
                expected[~learn] = model.predict_proba(shown[~learn])[:, 1]
    return expected


def _contrast(source: str, label: pa.Scalar, target: np.ndarray, expected: np.ndarray) -> Contrast:
    rows, share = len(target), float(expected.mean())
    noise = NOISE * np.sqrt(float((expected * (1 - expected)).mean()) / rows)
    return Contrast(source, label, rows, float(target.mean()), share, float(noise))
