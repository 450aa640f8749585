"""The bytes of Arrow's text columns in numpy, without a copy."""

import numpy as np
import pyarrow as pa


def spans(text: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return the bytes of all cells joined, and where each begins.

    Args:
        text: string, large_string, binary or large_binary, shape (n,).

    Returns:
        uint8, and int32 or int64 of shape (n + 1,): cell i is `flat[ends[i] : ends[i + 1]]`. What
        lies under a null is not told.
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
    """Return the bytes of the longest cell; 0 without one."""
    _, ends = spans(text)
    return int(np.diff(ends).max(initial=0))


def holds(text: pa.Array, byte: bytes) -> bool:
    """Return whether any cell holds a byte."""
    flat, _ = spans(text)
    return bool((flat == ord(byte)).any())
