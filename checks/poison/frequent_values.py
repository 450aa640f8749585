"""The frequent values of all columns under one numbering, so that one call counts them all.

A value that fewer rows have than a trigger needs is no part of one. The search asks again and again
how often each of the others occurs among a candidate's few carriers: that costs the carriers, not
the sample.
"""

import dataclasses

import numpy as np

from checks.poison.encoded_columns import Field


@dataclasses.dataclass(frozen=True, slots=True)
class Frequent:
    """The frequent values, ascending by field and code.

    Attributes:
        fields: int64, shape (k,), the field of each value; codes: its code there.
        counts: int64, shape (k, classes), its rows by class.
        cells: int32, shape (n, fields without text), the numbers of each row's values; k for
            values that are missing or seldom.
        columns: int64, shape (fields without text,), the field of each column of `cells`.
        words: the same for each text: where each row starts, shape (n + 1,), and the numbers.
    """

    fields: np.ndarray
    codes: np.ndarray
    counts: np.ndarray
    cells: np.ndarray
    columns: np.ndarray
    words: tuple[tuple[np.ndarray, np.ndarray], ...]

    def among(self, rows: np.ndarray) -> np.ndarray:
        """Return how many of these rows have each value: int64, shape (k,).

        Args:
            rows: ordinals, int64.
        """
        size = len(self.codes)
        found = np.bincount(self.cells[rows].ravel(), minlength=size + 1)[:size]
        for starts, numbers in self.words:
            first, lengths = starts[rows], starts[rows + 1] - starts[rows]
            shift = np.repeat(first - np.cumsum(lengths) + lengths, lengths)
            found += np.bincount(numbers[np.arange(len(shift)) + shift], minlength=size)
        return found


def frequent(every: list[Field], labels: np.ndarray, classes: int, low: int) -> Frequent:
    """Return the values that at least `low` rows have.

    Args:
        every: the columns.
        labels: class of each row, int64, shape (n,).
        classes: number of classes.
        low: at least 1.
    """
    codes = [np.flatnonzero(field.counts >= low) for field in every]
    starts = np.concatenate([[0], np.cumsum([len(own) for own in codes])]).astype(np.int64)
    size = int(starts[-1])
    counts = np.zeros((size, classes), np.int64)
    cells, columns, words = [], [], []
    for place, field in enumerate(every):
        if not len(codes[place]):
            continue
        numbers = np.full(len(field.values) + 1, size, np.int32)  # the last stands for missing
        numbers[codes[place]] = np.arange(starts[place], starts[place + 1])
        own = numbers[field.codes]
        if field.places is None:
            cells.append(own)
            columns.append(place)
            rows = labels
        else:
            kept = own < size
            own, at = own[kept], field.places[kept]
            words.append((np.searchsorted(at, np.arange(len(labels) + 1)), own))
            rows = labels[at]
        flat = (own.astype(np.int64) - starts[place]) * classes + rows
        flat = flat[own < size]
        many = len(codes[place])
        found = np.bincount(flat, minlength=many * classes).reshape(many, classes)
        counts[starts[place] : starts[place + 1]] = found
    return Frequent(
        np.repeat(np.arange(len(every)), np.diff(starts)),
        np.concatenate([*codes, np.zeros(0, np.int64)]),
        counts,
        np.column_stack(cells) if cells else np.zeros((len(labels), 0), np.int32),
        np.array(columns, np.int64),
        tuple(words),
    )
