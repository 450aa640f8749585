"""Yields a source's text in blocks of bytes: plain, or unpacked from gzip or Zstandard.

Unpacking stops at the limits. The first blocks of a packed text are held back until enough has been
unpacked to recognise a decompression bomb, so that nothing of one is parsed.
"""

import zlib
from collections.abc import Iterator

import pyarrow as pa

from provenance.base.errors import AssayError
from provenance.base.limits import RATIO_FLOOR, Limits
from provenance.files.safe_open import Opened

BLOCK = 4 << 20
_READ = 1 << 16  # small, so that unpacked bytes are compared with the bytes read for them
_LEAST = 1 << 16  # bytes of every block but the last: the first contains the mark and the header
_GZIP = 16 + zlib.MAX_WBITS  # only the gzip header and checksum


def blocks(file: Opened, packing: str, limits: Limits) -> Iterator[bytes]:
    """Yield the file's text in non-empty blocks of about `BLOCK` bytes at most.

    Args:
        file: open and not yet read.
        packing: empty, `gz` or `zst`.
        limits: on the unpacked size.

    Raises:
        AssayError: ASSAY-I003 if the file is truncated, I005 if it is damaged, I006 if it exceeds
            the limits.
    """
    total, held = 0, []
    for block in _joined({"": _plain, "gz": _gzip, "zst": _zstd}[packing](file)):
        total += len(block)
        _refuse_bomb(file, total, limits)
        held.append(block)
        if not packing or total > RATIO_FLOOR:
            yield from held
            held.clear()
    yield from held


def _joined(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield blocks with small ones joined: a packed text may begin with a block of a few bytes."""
    held = bytearray()
    for block in blocks:
        if not held and len(block) >= min(_LEAST, BLOCK):
            yield block
            continue
        held += block
        if len(held) >= min(_LEAST, BLOCK):
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)


def _refuse_bomb(file: Opened, total: int, limits: Limits) -> None:
    ratio = total / max(file.bytes_read, 1)
    if total > limits.max_unpacked_bytes:
        limit, key = f"{limits.max_unpacked_bytes:,} unpacked bytes", "max_unpacked_bytes"
    elif total > RATIO_FLOOR and ratio > limits.max_ratio:
        limit, key = f"a compression ratio of {limits.max_ratio} to 1", "max_ratio"
    else:
        return
    what = f"the file exceeds the limit of {limit}: so far {total:,} bytes, {ratio:,.0f} to 1"
    fix = f"if the file is legitimate, raise assay.limits.{key}"
    raise AssayError("I006", what, where=file.name, fix=fix)


def _plain(file: Opened) -> Iterator[bytes]:
    while block := file.read(BLOCK):
        yield block


def _gzip(file: Opened) -> Iterator[bytes]:
    member = zlib.decompressobj(_GZIP)
    packed = b""
    while packed := packed or file.read(_READ):
        if member.eof:
            packed = packed.lstrip(b"\0")  # padding between members and at the end
            if not packed:
                continue
            member = zlib.decompressobj(_GZIP)
        try:
            block = member.decompress(packed, BLOCK)
        except zlib.error:
            raise _damaged(file) from None
        packed = member.unused_data if member.eof else member.unconsumed_tail
        if block:
            yield block
    if not member.eof:
        raise _truncated(file)


def _zstd(file: Opened) -> Iterator[bytes]:
    stream = pa.CompressedInputStream(pa.PythonFile(_Reader(file), "r"), "zstd")
    while True:
        try:
            block = stream.read(BLOCK)
        except OSError as error:
            is_cut = file.bytes_read >= file.size and "runcated" in str(error)
            raise (_truncated(file) if is_cut else _damaged(file)) from None
        if not block:
            return
        yield block


class _Reader:
    """The methods of a Python file that Arrow needs to read sequentially."""

    def __init__(self, file: Opened) -> None:
        self.closed = False
        self._file = file

    def read(self, size: int) -> bytes:
        return self._file.read(size)

    def close(self) -> None:
        self.closed = True


def _truncated(file: Opened) -> AssayError:
    what = f"the file ends after byte {file.size:,} without its end marker"
    return AssayError("I003", what, where=file.name)


def _damaged(file: Opened) -> AssayError:
    what = f"the file cannot be unpacked: it is damaged before byte {file.bytes_read:,}"
    return AssayError("I005", what, where=file.name)
