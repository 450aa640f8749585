"""Strings as numbers that can be compared but not read, for use in saved models.

A model has to recognise a category or a word, not to reproduce it, so names or card numbers in a
column do not end up in `models/`. This does not protect against guessing: anyone with a model can
test a guess, and the 64-bit hashes of short numbers can be searched exhaustively.
Cost: about a microsecond per distinct string.
"""

import hashlib

import numpy as np
import pyarrow as pa

_SIZE = 8  # bytes; two of a million strings share a number in one of thirty million models


def opaque(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return a number for each string, equal for equal strings: uint64, shape (n,); null if null.

    Args:
        values: strings, shape (n,).
    """
    whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    coded = whole.cast(pa.string()).dictionary_encode()
    made = b"".join(
        hashlib.blake2b(text.encode(), digest_size=_SIZE).digest()
        for text in coded.dictionary.to_pylist()
    )
    return pa.array(np.frombuffer(made, "<u8").astype(np.uint64)).take(coded.indices)
