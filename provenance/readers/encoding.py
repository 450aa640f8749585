"""What all text formats share: the byte order mark, and text that is not UTF-8 at all.

Text in another encoding is turned into UTF-8 only where a contract names it, and a text that the
name cannot be true of is refused. What cannot be decoded becomes bytes that are no UTF-8 either, so
that its row is rejected like any other.
"""

import codecs
import itertools
from collections.abc import Iterator

from provenance.base.errors import AssayError
from provenance.readers.csv_dialect import wide_of

_MARK = b"\xef\xbb\xbf"
_WIDE = ("utf-16", "utf-32")
_HEAD = 512


def without_mark(block: bytes, where: str) -> tuple[bytes, bool]:
    """Return the first block of a text without its byte order mark, and whether it had one.

    Raises:
        AssayError: ASSAY-I021 if the text is UTF-16 or UTF-32.
    """
    if wide := wide_of(block):
        fix = f"convert it to UTF-8; of a CSV the contract may say assay.csv: {{encoding: {wide}}}"
        raise AssayError("I021", f"the text is {wide.upper()}", where=where, fix=fix)
    return block.removeprefix(_MARK), block.startswith(_MARK)


def as_utf8(blocks: Iterator[bytes], encoding: str, where: str) -> Iterator[bytes]:
    """Yield text in another encoding as UTF-8, in blocks that are not empty.

    Args:
        blocks: as the file holds them.
        encoding: one of `dialect.ENCODINGS`.
        where: the file, for messages.

    Raises:
        AssayError: ASSAY-I003 if the text ends within a character, I021 if it is plainly not in
            that encoding.
    """
    head = next(blocks, b"")
    if encoding.startswith(_WIDE):
        return _wide(itertools.chain((head,), blocks), _order_of(head, encoding, where), where)
    if wide := wide_of(head):
        raise _other(encoding, f"the text is {wide.upper()}", where)
    return _narrow(itertools.chain((head,), blocks), encoding, where)


def _order_of(head: bytes, encoding: str, where: str) -> str:
    """Return the encoding with its order of bytes, where neither a mark nor its name says it."""
    found = wide_of(head)
    if head and found is None and b"\0" not in head[:_HEAD]:
        raise _other(encoding, "the text is not", where)
    if encoding in _WIDE:
        if found and not found.startswith(encoding):
            raise _other(encoding, f"the text is {found.upper()}", where)
        return found or encoding
    marked = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
    marked |= {"utf-32-le": codecs.BOM_UTF32_LE, "utf-32-be": codecs.BOM_UTF32_BE}
    if found not in (None, encoding) and not head.startswith(marked[encoding]):
        raise _other(encoding, "the order of its bytes is another", where)
    return encoding


def _wide(blocks: Iterator[bytes], encoding: str, where: str) -> Iterator[bytes]:
    decode = codecs.getincrementaldecoder(encoding)("surrogatepass").decode
    try:
        for block in blocks:
            if text := decode(block):
                yield text.encode("utf-8", "surrogatepass")
        if text := decode(b"", final=True):
            yield text.encode("utf-8", "surrogatepass")
    except UnicodeError as error:  # without a reason if the mark that tells the order is missing
        if "truncated" in getattr(error, "reason", ""):
            what = "the text ends within a character"
            raise AssayError("I003", what, where=where, fix="copy or export it again") from None
        raise _other(encoding, "the text is not", where) from None


def _narrow(blocks: Iterator[bytes], encoding: str, where: str) -> Iterator[bytes]:
    decode = codecs.getincrementaldecoder(encoding)("surrogateescape").decode
    as_is = codecs.getincrementaldecoder("utf-8")().decode
    is_utf8, is_ascii = True, True
    for block in itertools.chain(blocks, (b"",)):
        is_ascii = is_ascii and block.isascii()
        if is_utf8 and not is_ascii:
            try:
                as_is(block, final=not block)
            except UnicodeDecodeError:
                is_utf8 = False
        if text := decode(block, final=not block):
            yield text.encode("utf-8", "surrogateescape")
    if is_utf8 and not is_ascii:  # every letter of it would be read as another
        raise _other(encoding, "all of the text is UTF-8", where)


def _other(encoding: str, what: str, where: str) -> AssayError:
    fix = "correct assay.csv in the contract, or convert the file"
    told = f"the contract says {encoding}, and {what}"
    return AssayError("I021", told, where=where, fix=fix)
