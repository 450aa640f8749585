"""Arrow columns as single arrays, and the bytes of text columns in numpy, without a copy."""

import numpy as np
import pyarrow as pa


def whole(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array, without copying a column of one chunk."""
    if column.num_chunks == 1:
        return column.chunk(0)  # combine_chunks would copy it
    joined = column.combine_chunks()
    return joined if isinstance(joined, pa.Array) else pa.concat_arrays(joined.chunks)


def mask_of(values: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Return booleans as a mask that may be written to: bool, shape (n,), false where null."""
    return np.array(values.fill_null(False).to_numpy(zero_copy_only=False), bool)  # noqa: FBT003


def spans(text: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return the bytes of all cells joined, and where each cell begins.

    Args:
        text: string, large_string, binary or large_binary, shape (n,).

    Returns:
        uint8, and int32 or int64 of shape (n + 1,): cell i is `flat[ends[i] : ends[i + 1]]`. The
        bytes of a null cell are arbitrary.
    """
    is_large = pa.types.is_large_string(text.type) or pa.types.is_large_binary(text.type)
    _, buffer, data = text.buffers()
    kind = np.int64 if is_large else np.int32
    if buffer is None or not len(text):
        return np.zeros(0, np.uint8), np.zeros(len(text) + 1, kind)
    ends = np.frombuffer(buffer, kind)[text.offset : text.offset + len(text) + 1]
    flat = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return flat[ends[0] : ends[-1]], ends - ends[0]


def longest(text: pa.Array) -> int:
    """Return the size of the longest cell in bytes; 0 without cells."""
    _, ends = spans(text)
    return int(np.diff(ends).max(initial=0))


def is_binary(kind: pa.DataType) -> bool:
    """Return whether a type is bytes of any length, which may be UTF-8; those of one are not."""
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    return any(
        test(plain)
        for test in (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    )


def as_text(column: pa.Array) -> pa.Array:
    """Return a column of bytes as text of the same bytes, which may not be UTF-8."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_binary_view(column.type):
        column = column.cast(pa.binary())
    return column.view(pa.large_string() if pa.types.is_large_binary(column.type) else pa.string())


def holds(text: pa.Array, byte: bytes) -> bool:
    """Return whether any cell contains a byte."""
    flat, _ = spans(text)
    return bool((flat == ord(byte)).any())
