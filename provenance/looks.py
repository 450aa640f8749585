"""Looks: texts that look like something else, counted and kept as they are.

Words that other readers take for missing values (I031), and cells that a spreadsheet would run or
a browser would render (I037).
"""

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance.errors import Notice

_WORDS = ("NA", "N/A", "n/a", "#N/A", "null", "NULL", "Null", "None", "none", "nan", "NaN", "NIL")
_FORMULA = np.zeros(256, bool)
_FORMULA[list(b"=+@\t\r")] = True
_TAG = r"(?i)<(?:/?[a-z][a-z0-9]*[\s/>]|!--|!doctype)"


class Looks:
    """Counts over the string columns of a dataset, part by part."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        self._missing: Counter[str] = Counter()
        self._active: Counter[str] = Counter()

    def add(self, table: pa.Table) -> None:
        """Count the cells of the plain string columns of `table`."""
        for name in table.column_names:
            for column in table[name].chunks:
                if pa.types.is_string(column.type) and len(column):
                    self._missing[name] += _count(pc.is_in(column, pa.array(_WORDS)))
                    self._active[name] += _active(column)

    def notices(self) -> list[Notice]:
        """Return a notice for each kind that was seen."""
        found = []
        for code, counts, told in (
            ("ASSAY-I031", self._missing, "look like missing values and are kept as text"),
            ("ASSAY-I037", self._active, "look like formulas or HTML and are kept as text"),
        ):
            if total := counts.total():
                names = ", ".join(repr(name) for name, count in counts.items() if count)
                found.append(Notice(code, f"{total:,} cells {told}", f"columns {names}"))
        return found


def _count(mask: pa.Array) -> int:
    return int(pc.sum(mask).as_py() or 0)


def _active(column: pa.Array) -> int:
    ends, data = column.buffers()[1:]
    if data is None:
        return 0
    offsets = np.frombuffer(ends, np.int32)[column.offset : column.offset + len(column) + 1]
    flat = np.frombuffer(data, np.uint8)
    starts = offsets[:-1][np.diff(offsets) > 0]
    formulas = int(_FORMULA[flat[starts]].sum())
    if not (flat[offsets[0] : offsets[-1]] == ord("<")).any():
        return formulas
    return formulas + _count(pc.match_substring_regex(column, _TAG))
