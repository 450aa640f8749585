"""Vectorised 64-bit sketches of columns: hashes of values, tokens of texts, min-hashes.

Equal values give equal hashes on every machine and in every shard: the random tables come from
fixed seeds, no state is kept. Not cryptographic: row identity is `provenance.rows.digest`.
Cost: O(bytes) in numpy, no Python loop over rows.
Source: multilinear hashing (Lemire, Kaser 2014); min-hash (Broder 1997).
"""

import itertools

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance.rows import digest
from provenance.rows.nested import is_flat

_DRAW = np.random.default_rng(20_240_229)
_BYTES = _DRAW.integers(1, 2**63, 257, dtype=np.uint64)
_PLACES = _DRAW.integers(1, 2**63, 4096, dtype=np.uint64) | np.uint64(1)
MISSING = np.uint64(0x9E3779B97F4A7C15)  # the hash of a missing cell
_AT_ONCE = 1 << 17  # bytes of texts hashed at once: what is computed of them stays in cache
_EDGES = " \t\r\n.,;:!?\"'()[]{}<>"


def mixed(values: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return the SplitMix64 finalizer of uint64 values, shape kept; `seed` gives other hashes."""
    hashes: np.ndarray = values + np.uint64((seed * 0x9E3779B97F4A7C15) % 2**64)
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: np.ndarray = hashes ^ (hashes >> np.uint64(31))
    return result


def whole(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return a column as one Arrow array."""
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def numbers(array: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return a number or time column as float64 or int64 values and a mask of usable cells.

    Cells that are missing, NaN or infinite are 0 and unusable; -0.0 becomes 0.0.
    """
    if pa.types.is_floating(array.type):
        floats = array.to_numpy(zero_copy_only=False).astype(np.float64)
        usable = np.isfinite(floats)
        return np.where(usable, floats, 0.0) + 0.0, usable
    valid = pc.is_valid(array).to_numpy(zero_copy_only=False)
    kind = pa.int32() if array.type.bit_width == 32 else pa.int64()  # noqa: PLR2004
    whole_numbers = array if pa.types.is_integer(array.type) else array.cast(kind)
    values = whole_numbers.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    return values, valid


def is_number(kind: pa.DataType) -> bool:
    """Return whether a column holds ordered numbers: integers, floats, dates or times."""
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_temporal(kind)
    )


def value_hashes(array: pa.Array, seed: int = 0) -> np.ndarray:
    """Return one hash per cell, uint64, shape (n,); missing cells share one hash.

    Nested cells and bytes are hashed by the encoding that row digests use.
    """
    if not is_flat(array.type):
        digests = digest.of_rows(pa.table({"cells": array}))
        hashes = np.ascontiguousarray(digests[:, :8]).view(np.uint64).reshape(-1)
    elif pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        hashes = text_hashes(array)
    elif pa.types.is_boolean(array.type):
        hashes = array.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False).view(np.uint64)
    else:
        hashes = np.ascontiguousarray(numbers(array)[0]).view(np.uint64)
    if array.null_count:
        hashes = np.where(pc.is_valid(array).to_numpy(zero_copy_only=False), hashes, MISSING)
    return mixed(hashes, seed)


def text_hashes(array: pa.Array) -> np.ndarray:
    """Return one hash per text, uint64, shape (n,); a missing text counts as empty."""
    coded = pc.fill_null(array, "").dictionary_encode()
    each = _each(coded.dictionary)
    return each.take(coded.indices.to_numpy(zero_copy_only=False)) if len(each) else each


def _each(texts: pa.Array) -> np.ndarray:
    filled = texts.cast(pa.large_string())
    ends = np.frombuffer(filled.buffers()[1], np.int64)[filled.offset :][: len(filled) + 1]
    if len(filled) == 0 or ends[-1] == ends[0]:
        return np.zeros(len(filled), np.uint64)
    data = np.frombuffer(filled.buffers()[2], np.uint8)
    # numbers are eight times as large as the bytes, so only a part of the texts at a time
    cuts = np.searchsorted(ends, np.arange(ends[0] + _AT_ONCE, ends[-1], _AT_ONCE))
    edges = np.unique([0, *cuts, len(filled)]).tolist()
    parts = [_hashed(data, ends[low : high + 1]) for low, high in itertools.pairwise(edges)]
    return np.concatenate(parts)


def _hashed(data: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return the hashes of texts that end at `ends` (int64, from the start of the first)."""
    data, starts, sizes = data[ends[0] : ends[-1]], ends[:-1] - ends[0], np.diff(ends)
    places = np.arange(len(data)) - np.repeat(starts, sizes)
    terms = _BYTES.take(data)
    terms *= _PLACES.take(places & 4095)
    hashes = np.zeros(len(sizes), np.uint64)
    full = np.flatnonzero(sizes)
    if len(full):
        hashes[full] = np.add.reduceat(terms, starts[full])
    lengths: np.ndarray = hashes + sizes.astype(np.uint64) * _BYTES[256]
    return lengths


def tokens(array: pa.Array) -> tuple[np.ndarray, np.ndarray, pa.Array]:
    """Split texts at blanks into lower-case words without punctuation at their ends.

    Returns:
        places: int64, shape (m,), index of each token's text, ascending.
        codes: int64, shape (m,), index into the vocabulary.
        vocabulary: distinct tokens, in no particular order.
    """
    lists = pc.utf8_split_whitespace(pc.utf8_lower(array))
    places = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False)
    raw = pc.list_flatten(lists).dictionary_encode()
    trimmed = pc.utf8_trim(raw.dictionary, _EDGES).dictionary_encode()
    again = trimmed.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    first = raw.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    codes = again[first] if len(first) else first
    blank = pc.equal(trimmed.dictionary, "").to_numpy(zero_copy_only=False)
    keep = ~blank[codes] if len(codes) else np.zeros(0, bool)
    return places[keep].astype(np.int64), codes[keep], trimmed.dictionary


def min_hashes(array: pa.Array, count: int) -> np.ndarray:
    """Return `count` min-hashes of each text's tokens: uint64, shape (count, n).

    Two texts share one with a probability equal to the Jaccard similarity of their tokens.
    """
    places, codes, vocabulary = tokens(array)
    found = np.full((count, len(array)), MISSING, np.uint64)
    if len(places) == 0:
        return found
    starts = np.flatnonzero(np.r_[True, places[1:] != places[:-1]])
    base = text_hashes(vocabulary)
    for seed in range(count):
        found[seed, places[starts]] = np.minimum.reduceat(mixed(base, seed + 1)[codes], starts)
    return found
