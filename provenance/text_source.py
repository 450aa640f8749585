"""What all text formats share: the byte order mark, and text that is not UTF-8 at all."""

import numpy as np

from provenance.errors import AssayError

_MARK = b"\xef\xbb\xbf"
_WIDE = (
    (b"\xff\xfe\0\0", "UTF-32"),
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
_PEEK = 512
_MANY = 0.3  # share of NUL bytes, even or odd ones, that plain text with a stray NUL never has


def without_mark(block: bytes, where: str) -> tuple[bytes, bool]:
    """Return the first block of a text without its byte order mark, and whether it had one.

    Raises:
        AssayError: ASSAY-I021 if the text is UTF-16 or UTF-32.
    """
    head = block[:_PEEK]
    wide = next((kind for mark, kind in _WIDE if head.startswith(mark)), None)
    if wide is None and len(head) > 1:
        nul = np.frombuffer(head, np.uint8) == 0
        if max(nul[::2].mean(), nul[1::2].mean()) > _MANY:
            wide = "UTF-16 or UTF-32"
    if wide is not None:
        fix = "convert it, e.g. iconv -f utf-16 -t utf-8"
        raise AssayError("I021", f"the text is {wide}", where=where, fix=fix)
    return block.removeprefix(_MARK), block.startswith(_MARK)
