"""What a file holds, by its first and last bytes: nothing is decoded or unpacked.

A type is known by a mark at its beginning; some end with a mark, too, so that a file that was cut
off is recognised. Source: the formats' own specifications.
"""

from typing import NamedTuple

HEAD, TAIL = 4_096, 65_536  # bytes that are looked at


class Type(NamedTuple):
    """A type: a mark at an offset, a mark near the end or none, and the extensions that say so."""

    name: str
    mark: bytes
    extensions: tuple[str, ...]
    at: int = 0
    end: bytes = b""


_TYPES = (
    Type("JPEG", b"\xff\xd8\xff", ("jpg", "jpeg", "jpe", "jfif"), end=b"\xff\xd9"),
    Type("PNG", b"\x89PNG\r\n\x1a\n", ("png",), end=b"IEND\xaeB`\x82"),
    Type("GIF", b"GIF87a", ("gif",), end=b";"),
    Type("GIF", b"GIF89a", ("gif",), end=b";"),
    Type("WebP", b"WEBP", ("webp",), at=8),
    Type("WAV", b"WAVE", ("wav",), at=8),
    Type("AVI", b"AVI ", ("avi",), at=8),
    Type("TIFF", b"II*\x00", ("tif", "tiff")),
    Type("TIFF", b"MM\x00*", ("tif", "tiff")),
    Type("BMP", b"BM", ("bmp",)),
    Type("PDF", b"%PDF-", ("pdf",), end=b"%%EOF"),
    Type("ZIP", b"PK\x03\x04", ("zip", "docx", "xlsx", "pptx", "odt", "ods", "epub", "npz"),
         end=b"PK\x05\x06"),
    Type("gzip", b"\x1f\x8b", ("gz", "tgz")),
    Type("MPEG-4", b"ftyp", ("mp4", "m4a", "m4v", "mov", "heic", "heif", "avif"), at=4),
    Type("Matroska", b"\x1aE\xdf\xa3", ("mkv", "webm")),
    Type("MP3", b"ID3", ("mp3",)),
    Type("FLAC", b"fLaC", ("flac",)),
    Type("Ogg", b"OggS", ("ogg", "oga", "ogv", "opus")),
    Type("NumPy", b"\x93NUMPY", ("npy",)),
    Type("DICOM", b"DICM", ("dcm",), at=128),
    Type("Parquet", b"PAR1", ("parquet",), end=b"PAR1"),
    Type("SQLite", b"SQLite format 3\x00", ("db", "sqlite")),
)  # fmt: skip
TEXT = "text"
_TEXTS = frozenset(("txt", "md", "csv", "tsv", "json", "jsonl", "xml", "html", "htm", "svg", "yaml",
                    "yml", "rst", "tex", "log"))  # fmt: skip
_MARKS = (b"\xff\xfe", b"\xfe\xff")  # byte order marks of UTF-16
BY_EXTENSION: dict[str, frozenset[str]] = {
    end: frozenset(kind.name for kind in _TYPES if end in kind.extensions)
    for kind in _TYPES
    for end in kind.extensions
} | dict.fromkeys(_TEXTS, frozenset((TEXT,)))


def type_of(head: bytes) -> Type | None:
    """Return the type that a file begins like; None for text and for anything unknown."""
    for kind in _TYPES:
        if head[kind.at : kind.at + len(kind.mark)] == kind.mark:
            return kind
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2:  # noqa: PLR2004
        return Type("MP3", b"", ("mp3",))  # frames without a tag
    return None


def is_other(extension: str, head: bytes) -> bool:
    """Return whether a file does not hold what its extension says; False for unknown extensions.

    Args:
        extension: in lower case, without the dot.
        head: the first bytes of the file.
    """
    said = BY_EXTENSION.get(extension)
    if said is None:
        return False
    found = type_of(head)
    if said == {TEXT}:
        return not head.startswith(_MARKS) and b"\x00" in head
    return found is None or found.name not in said


def is_cut(head: bytes, tail: bytes) -> bool:
    """Return whether a file of a type that has an end lacks it."""
    found = type_of(head)
    return found is not None and bool(found.end) and found.end not in tail
