"""What all text formats share: the byte order mark, and conversion of other encodings to UTF-8.

Text in another encoding is converted only if the contract names the encoding, and is refused if it
clearly uses a different one. Bytes that cannot be decoded become invalid UTF-8, so that their row
is rejected like any other.
"""

import codecs
import itertools
from collections.abc import Iterator

from provenance.base.errors import AssayError, Notice
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
        fix = f"convert it to UTF-8, or set assay.csv: {{encoding: {wide}}} in the contract (CSV)"
        raise AssayError("I021", f"the text is {wide.upper()}", where=where, fix=fix)
    return block.removeprefix(_MARK), block.startswith(_MARK)


def text_notices(name: str, blank: int, *, has_bom: bool) -> list[Notice]:
    """Return the notices of a text with `blank` blank lines between its rows."""
    found = [Notice("ASSAY-I020", "the byte order mark was dropped", name)] if has_bom else []
    if blank:
        found.append(Notice("ASSAY-I001", f"{blank:,} blank lines were skipped", name))
    return found


def as_utf8(blocks: Iterator[bytes], encoding: str, where: str) -> Iterator[bytes]:
    """Yield text in another encoding as non-empty blocks of UTF-8.

    Args:
        blocks: of the file.
        encoding: one of `csv_dialect.ENCODINGS`.
        where: the file, for messages.

    Raises:
        AssayError: ASSAY-I003 if the text ends in the middle of a character, I021 if it is clearly
            not in that encoding.
    """
    head = next(blocks, b"")
    if encoding.startswith(_WIDE):
        return _wide(itertools.chain((head,), blocks), _order_of(head, encoding, where), where)
    if wide := wide_of(head):
        raise _other(encoding, f"the text is {wide.upper()}", where)
    return _narrow(itertools.chain((head,), blocks), encoding, where)


def _order_of(head: bytes, encoding: str, where: str) -> str:
    """Return the encoding with its byte order, if neither a mark nor its name gives one."""
    found = wide_of(head)
    if head and found is None and b"\0" not in head[:_HEAD]:
        raise _other(encoding, "the text is not in that encoding", where)
    if encoding in _WIDE:
        if found and not found.startswith(encoding):
            raise _other(encoding, f"the text is {found.upper()}", where)
        return found or encoding
    marked = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
    marked |= {"utf-32-le": codecs.BOM_UTF32_LE, "utf-32-be": codecs.BOM_UTF32_BE}
    if found not in (None, encoding) and not head.startswith(marked[encoding]):
        raise _other(encoding, "the text has a different byte order", where)
    return encoding


def _wide(blocks: Iterator[bytes], encoding: str, where: str) -> Iterator[bytes]:
    decode = codecs.getincrementaldecoder(encoding)("surrogatepass").decode
    try:
        for block in blocks:
            if text := decode(block):
                yield text.encode("utf-8", "surrogatepass")
        if text := decode(b"", final=True):
            yield text.encode("utf-8", "surrogatepass")
    except UnicodeError as error:  # has no reason if the byte order mark is missing
        if "truncated" in getattr(error, "reason", ""):
            what = "the text ends in the middle of a character"
            raise AssayError("I003", what, where=where) from None
        raise _other(encoding, "the text is not in that encoding", where) from None


def _narrow(blocks: Iterator[bytes], encoding: str, where: str) -> Iterator[bytes]:
    decode = codecs.getincrementaldecoder(encoding)("surrogateescape").decode
    decode_utf8 = codecs.getincrementaldecoder("utf-8")().decode
    is_utf8, is_ascii = True, True
    for block in itertools.chain(blocks, (b"",)):
        is_ascii = is_ascii and block.isascii()
        if is_utf8 and not is_ascii:
            try:
                decode_utf8(block, final=not block)
            except UnicodeDecodeError:
                is_utf8 = False
        if text := decode(block, final=not block):
            yield text.encode("utf-8", "surrogateescape")
    if is_utf8 and not is_ascii:  # every letter that is not ASCII would be misread
        raise _other(encoding, "the whole text is valid UTF-8", where)


def _other(encoding: str, finding: str, where: str) -> AssayError:
    fix = "correct assay.csv in the contract, or convert the file"
    what = f"the contract says {encoding}, but {finding}"
    return AssayError("I021", what, where=where, fix=fix)
