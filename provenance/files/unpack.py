"""Text of a source as blocks of bytes: plain, gzip or Zstandard, unpacked under a count.

Unpacking stops at the limits. The first blocks of a packed text are held back until enough of it
is unpacked to tell a bomb, so that none of them is parsed in vain.
"""

import zlib
from collections.abc import Iterator

import pyarrow as pa

from provenance.base.errors import AssayError
from provenance.base.limits import RATIO_FLOOR, Limits
from provenance.files.safe_open import Opened

BLOCK = 4 << 20
_READ = 1 << 16  # small, so that what is unpacked is weighed against what was read for it
_LEAST = 1 << 16  # bytes of a block but the last: a mark and the first rows stand in the first one
_GZIP = 16 + zlib.MAX_WBITS  # gzip header and checksum, and no other


def blocks(file: Opened, packing: str, limits: Limits) -> Iterator[bytes]:
    """Yield the file's text in blocks of about `BLOCK` bytes at most, none empty.

    Args:
        file: open and not yet read.
        packing: empty, `gz` or `zst`.
        limits: on the unpacked size.

    Raises:
        AssayError: ASSAY-I003 if the file is cut, I005 if it is damaged, I006 over the limits.
    """
    made = _joined({"": _plain, "gz": _gzip, "zst": _zstd}[packing](file))
    total, held = 0, []
    for block in made:
        total += len(block)
        _refuse_bomb(file, total, limits)
        held.append(block)
        if not packing or total > RATIO_FLOOR:
            yield from held
            held.clear()
    yield from held


def _joined(made: Iterator[bytes]) -> Iterator[bytes]:
    """Yield blocks with small ones joined: a packed text may begin with a part of a few bytes."""
    parts: list[bytes] = []
    size = 0
    for block in made:
        parts.append(block)
        size += len(block)
        if size >= min(_LEAST, BLOCK):
            yield b"".join(parts) if len(parts) > 1 else block
            parts.clear()
            size = 0
    if parts:
        yield b"".join(parts)


def _refuse_bomb(file: Opened, total: int, limits: Limits) -> None:
    ratio = total / max(file.taken, 1)
    if total > limits.max_unpacked_bytes:
        limit = f"the limit of {limits.max_unpacked_bytes:,} bytes unpacked"
        fix = "if the file is honest, raise assay.limits.max_unpacked_bytes"
    elif total > RATIO_FLOOR and ratio > limits.max_ratio:
        limit = f"the limit of {limits.max_ratio} to 1"
        fix = "if the file is honest, raise assay.limits.max_ratio"
    else:
        return
    what = f"over {limit}: {total:,} bytes so far, {ratio:,.0f} for each one packed"
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
        raise _cut(file)


def _zstd(file: Opened) -> Iterator[bytes]:
    stream = pa.CompressedInputStream(pa.PythonFile(_Reader(file), "r"), "zstd")
    while True:
        try:
            block = stream.read(BLOCK)
        except OSError as error:
            cut = file.taken >= file.size and "runcated" in str(error)
            raise (_cut(file) if cut else _damaged(file)) from None
        if not block:
            return
        yield block


class _Reader:
    """The part of a Python file that Arrow needs to read on."""

    def __init__(self, file: Opened) -> None:
        self.closed = False
        self._file = file

    def read(self, size: int) -> bytes:
        return self._file.read(size)

    def close(self) -> None:
        self.closed = True


def _cut(file: Opened) -> AssayError:
    what = f"ends after byte {file.size:,} without its end mark"
    return AssayError("I003", what, where=file.name, fix="copy or export the file again")


def _damaged(file: Opened) -> AssayError:
    what = f"cannot be unpacked: damaged before byte {file.taken:,}"
    return AssayError("I005", what, where=file.name, fix="copy the file again from where it came")
