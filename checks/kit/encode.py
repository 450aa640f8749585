"""Mixed columns to matrices: one for linear models, one for trees.

Fitted on the sample and applied to shards; a row's numbers depend on that row alone. Numbers and
dates are clipped on a robust scale, categories are one-hot up to a number of levels and hashed
beyond it, texts are TF-IDF over the sample's most frequent words. Infinite values are missing.
"""

import dataclasses
import zlib
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from checks.kit.contract_model import Contract
from checks.kit.hashed_values import opaque

Kind = Literal["number", "category", "text"]

LEVELS = 64  # categories with a column of their own
BUCKETS = 64  # for all other categories of a column
WORDS = 4096  # vocabulary of a text column
CLIP = 6.0  # robust standard deviations
MAX_TOKENS_OF_CATEGORY = 3.0  # mean words per cell; with more, a varied string is a text
# of each byte its lower case, a blank for all but letters and digits
_PLAIN = np.array([ord(c.lower()) if c.isalnum() else 32 for c in map(chr, range(128))], np.uint8)
_PLAIN = np.concatenate([_PLAIN, np.full(128, 32, np.uint8)])


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """One fitted column.

    Attributes:
        name, kind: the column and how to encode it.
        center, scale: of a number, median and robust standard deviation.
        known: levels of a category, most frequent first, or words of a text; see `opaque`.
        weight: inverse document frequency of each word.
        hashed: whether other levels go into buckets.
    """

    name: str
    kind: Kind
    center: float = 0.0
    scale: float = 1.0
    known: pa.Array | None = None
    weight: np.ndarray | None = None
    hashed: bool = False

    @property
    def width(self) -> int:
        """Return how many columns of the linear view this part fills."""
        if self.kind == "number":
            return 2
        known = 0 if self.known is None else len(self.known)
        return known if self.kind == "text" else known + 1 + BUCKETS * self.hashed


@dataclasses.dataclass(frozen=True, slots=True)
class Encoder:
    """All fitted columns, in order."""

    parts: tuple[Part, ...]

    def names(self, *kinds: Kind) -> tuple[str, ...]:
        """Return the columns of these kinds."""
        return tuple(part.name for part in self.parts if part.kind in kinds)

    def trees(self, table: pa.Table) -> np.ndarray:
        """Return numbers and category ranks, float64, shape (n, parts); missing is NaN.

        A text's entry is its length.
        """
        made = [_tree_column(part, table[part.name]) for part in self.parts]
        return np.column_stack(made) if made else np.zeros((table.num_rows, 0))

    def linear(self, table: pa.Table) -> "scipy.sparse.csr_matrix":  # type: ignore[name-defined]  # noqa: F821
        """Return scaled numbers, one-hot categories and TF-IDF: CSR float64, shape (n, width)."""
        from scipy import sparse

        start, made = 0, []
        for part in self.parts:
            rows, columns, values = _triples(part, table[part.name])
            made.append((rows, columns + start, values))
            start += part.width
        if not made:
            return sparse.csr_matrix((table.num_rows, 0))
        rows, columns, values = (np.concatenate(piece) for piece in zip(*made, strict=True))
        return sparse.csr_matrix((values, (rows, columns)), shape=(table.num_rows, start))


def kinds(contract: Contract, table: pa.Table) -> dict[str, Kind]:
    """Return how to encode each feature of the contract that the table has."""
    texts, present = set(contract.having("text")), set(table.column_names)
    return {
        name: _kind(table[name], is_text=name in texts)
        for name in contract.features
        if name in present
    }


def fit(table: pa.Table, how: dict[str, Kind]) -> Encoder:
    """Fit each column on the sample; a column without a value becomes constant.

    Args:
        table: the sample.
        how: columns to encode, see `kinds`.
    """
    return Encoder(tuple(_fit_part(name, kind, table[name]) for name, kind in how.items()))


def numbers(column: pa.ChunkedArray) -> np.ndarray:
    """Return a numeric, boolean or time column as float64, shape (n,), NaN where not finite."""
    flat = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_temporal(flat.type):
        width = pa.int32() if flat.type.bit_width == 32 else pa.int64()  # noqa: PLR2004
        flat = flat.cast(width)
    flat = flat.cast(pa.float64(), safe=False)
    values = np.array(flat.to_numpy(zero_copy_only=False), dtype=float)
    values[~np.isfinite(values)] = np.nan
    return values


def spread(values: np.ndarray) -> tuple[float, float]:
    """Return median and robust standard deviation of the values that are not NaN.

    If more than half of the values are equal, the deviation is taken from wider quantiles.
    """
    values = values[~np.isnan(values)]
    if not len(values):
        return 0.0, 1.0
    cuts = np.quantile(values, [0.5, 0.25, 0.75, 0.05, 0.95, 0.0, 1.0])
    with np.errstate(over="ignore"):
        widths = ((cuts[2] - cuts[1]) / 1.349, (cuts[4] - cuts[3]) / 3.29, cuts[6] - cuts[5])
    usable = [float(width) for width in widths if np.isfinite(width) and width > 0]
    return float(cuts[0]), (usable[0] if usable else 1.0)


def words(column: pa.ChunkedArray) -> tuple[np.ndarray, pa.Array]:
    """Return (row of each word, word): lower case, split at all but letters and digits."""
    flat = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    lists = pc.ascii_split_whitespace(_plain(flat.cast(pa.string())))
    found = pc.list_flatten(lists)
    owner = pc.list_parent_indices(lists)
    keep = pc.not_equal(pc.binary_length(found), 0)
    return owner.filter(keep).to_numpy(zero_copy_only=False), found.filter(keep)


def _plain(texts: pa.StringArray) -> pa.StringArray:
    """Return texts in lower case, with blanks for all but letters and digits."""
    valid, ends, data = texts.buffers()
    if data is None or not data.size:
        return texts
    # a table of bytes is ten times as fast as a pattern, and right for ASCII
    made = pa.py_buffer(_PLAIN[np.frombuffer(data, np.uint8)])
    plain = pa.StringArray.from_buffers(len(texts), ends, made, valid, -1, texts.offset)
    other = pc.invert(pc.fill_null(pc.string_is_ascii(texts), True))  # noqa: FBT003
    if not pc.any(other).as_py():
        return plain
    lower = pc.utf8_lower(texts.filter(other))
    return pc.replace_with_mask(plain, other, pc.replace_substring_regex(lower, r"[^\pL\pN]+", " "))


def _by_row(owner: np.ndarray, codes: np.ndarray, rows: int, width: int) -> Any:
    """Return how often each row has each code: CSR float64, shape (rows, width), canonical."""
    from scipy import sparse

    ends = np.append(0, np.bincount(owner, minlength=rows).cumsum())
    made = sparse.csr_matrix((np.ones(len(codes)), codes, ends), shape=(rows, width))
    made.sum_duplicates()
    return made


def categories(column: pa.ChunkedArray) -> pa.Array:
    """Return a column of categories as strings."""
    flat = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return flat.cast(pa.string())


def _kind(column: pa.ChunkedArray, *, is_text: bool) -> Kind:
    if not _is_string(column.type):
        return "number"
    if is_text:
        return "text"
    filled = column.length() - column.null_count
    distinct = pc.count_distinct(column).as_py()
    if distinct <= LEVELS or 2 * distinct < filled:
        return "category"
    return "text" if len(words(column)[0]) > MAX_TOKENS_OF_CATEGORY * filled else "category"


def _is_string(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _fit_part(name: str, kind: Kind, column: pa.ChunkedArray) -> Part:
    if kind == "number":
        center, scale = spread(numbers(column))
        return Part(name, kind, center, scale)
    if kind == "category":
        levels = _frequent(categories(column), LEVELS)
        distinct = pc.count_distinct(column).as_py()
        return Part(name, kind, known=opaque(levels), hashed=distinct > LEVELS)
    owner, found = words(column)
    codes = found.dictionary_encode()
    once = _by_row(owner, _indices(codes), len(column), max(len(codes.dictionary), 1))
    counts = np.bincount(once.indices, minlength=len(codes.dictionary))
    known, often = _top(codes.dictionary, counts, WORDS)
    weight = np.log((1 + len(column)) / (1 + often)) + 1
    return Part(name, kind, known=opaque(known), weight=weight)


def _frequent(values: pa.Array, most: int) -> pa.Array:
    counted = values.drop_null().value_counts()
    return _top(counted.field("values"), counted.field("counts"), most)[0]


def _top(values: pa.Array, counts: pa.Array | np.ndarray, most: int) -> tuple[pa.Array, np.ndarray]:
    """Return the most frequent values and how often each occurs, float64."""
    table = pa.table({"value": values, "count": counts})
    order = pc.sort_indices(table, sort_keys=[("count", "descending"), ("value", "ascending")])
    top = table.take(order[:most]).combine_chunks()
    kept = top["value"].combine_chunks() if top.num_rows else pa.array([], pa.string())
    return kept, top["count"].to_numpy().astype(float)


def _indices(codes: pa.DictionaryArray) -> np.ndarray:
    return np.asarray(codes.indices.to_numpy(zero_copy_only=False), dtype=np.int64)


def _codes(part: Part, values: pa.Array) -> np.ndarray:
    found = pc.index_in(opaque(values), value_set=part.known)
    return np.asarray(pc.fill_null(found, -1).to_numpy(zero_copy_only=False), dtype=np.int64)


def _tree_column(part: Part, column: pa.ChunkedArray) -> np.ndarray:
    if part.kind == "number":
        return numbers(column)
    if part.kind == "text":
        return numbers(pc.utf8_length(column))
    values = categories(column)
    codes = _codes(part, values).astype(float)
    # all infrequent levels are one value; a null is missing
    codes[codes < 0] = LEVELS
    codes[np.asarray(values.is_null())] = np.nan
    return codes


def _triples(part: Part, column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if part.kind == "number":
        return _number_triples(part, numbers(column))
    if part.kind == "category":
        values = categories(column)
        codes = _codes(part, values)
        other = codes < 0
        codes[other] = len(part.known)  # type: ignore[arg-type]
        if part.hashed:
            codes[other] += 1 + _buckets(values.filter(pa.array(other)))
        return np.arange(len(codes)), codes, np.ones(len(codes))
    return _text_triples(part, column)


def _number_triples(part: Part, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    missing = np.isnan(values)
    with np.errstate(over="ignore"):
        scaled = np.clip((values - part.center) / part.scale, -CLIP, CLIP)
    rows = np.arange(len(values))
    kept = rows[~missing]
    lost = rows[missing]
    columns = np.concatenate([np.zeros(len(kept), int), np.ones(len(lost), int)])
    filled = np.concatenate([scaled[~missing], np.ones(len(lost))])
    return np.concatenate([kept, lost]), columns, filled


def _buckets(values: pa.Array) -> np.ndarray:
    codes = values.dictionary_encode(null_encoding="encode")
    texts = codes.dictionary.to_pylist()
    hashed = [zlib.crc32((text or "").encode()) % (BUCKETS - 1) for text in texts]
    bucket_of: np.ndarray = np.asarray(hashed, dtype=np.int64)
    return np.asarray(bucket_of[_indices(codes)])


def _text_triples(part: Part, column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    owner, found = words(column)
    codes = _codes(part, found)
    owner, codes = owner[codes >= 0].astype(np.int64), codes[codes >= 0]
    width = max(part.width, 1)
    counted = _by_row(owner, codes, len(column), width)
    rows, columns = np.repeat(np.arange(len(column)), np.diff(counted.indptr)), counted.indices
    weight = part.weight if part.weight is not None else np.ones(width)
    values = (1 + np.log(counted.data)) * weight[columns]
    norm = np.sqrt(np.bincount(rows, weights=values**2, minlength=len(column)))
    return rows, columns, values / norm[rows]
