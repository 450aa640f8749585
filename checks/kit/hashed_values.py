"""Strings as numbers that can be compared but not read: what a saved model keeps of them.

A model has to know a category or a word again; it need not be able to say it. So a names' list or
a card number that stands in a column does not end up in `models/`. Not proof against guessing: who
holds a model and a guess can test it, and 64 bits of a short number can be tried through.
Cost: about a microsecond a distinct string.
"""

import hashlib

import numpy as np
import pyarrow as pa

_SIZE = 8  # bytes; two of a million strings share a number in one of thirty million models


def opaque(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return a number for each string, equal for equal ones: uint64, shape (n,); null stays null.

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
