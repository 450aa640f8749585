"""Facts: bytes, rows, digests, time. Knows nothing of good or bad."""
