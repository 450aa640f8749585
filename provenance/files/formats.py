"""Formats: the one that a file's name implies, and whether its first bytes match it."""

import dataclasses
import io
import zipfile
from pathlib import Path

from provenance.base.errors import AssayError
from provenance.base.limits import RATIO_FLOOR, Limits
from provenance.files.safe_open import Opened

_BASES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_PACKINGS = {".gz": "gz", ".zst": "zst"}
_UNBOUNDED = {".bz2": "bzip2", ".xz": "xz", ".lzma": "lzma", ".lz4": "lz4", ".br": "Brotli"}
_MAGIC = (
    (b"PAR1", "Parquet"),
    (b"PARE", "encrypted Parquet"),
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "a zip archive"),
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "Zstandard"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a rar archive"),
    (b"\x89PNG", "a PNG image"),
    (b"GIF8", "a GIF image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"%PDF", "a PDF document"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word document"),
    (b"ARROW1", "an Arrow file"),
    (b"Obj\x01", "an Avro file"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x7fELF", "a program"),
    (b"\x93NUMPY", "a NumPy array"),
)
_KEEPS = {"gz": "gzip", "zst": "Zstandard"}
_HTML = (b"<!doctype", b"<html", b"<?xml")
_PEEK = 512
_TAIL = 1 << 20  # bytes that are searched for a zip's directory


@dataclasses.dataclass(frozen=True, slots=True)
class Format:
    """A format by name: `base` is one of `_BASES`; `packing` is empty, gz or zst."""

    base: str
    packing: str = ""

    @property
    def name(self) -> str:
        """Return the format as the snapshot records it, e.g. `csv.gz`."""
        return f"{self.base}.{self.packing}" if self.packing else self.base

    @property
    def is_text(self) -> bool:
        """Return whether every cell is text before it is cast."""
        return self.base != "parquet"


def format_of(path: str) -> Format:
    """Return the format that a file's name implies, without opening the file.

    Raises:
        AssayError: ASSAY-I004 for an unknown extension, I006 for an unsupported compression.
    """
    suffixes = [suffix.lower() for suffix in Path(path).suffixes[-2:]]
    last = suffixes[-1] if suffixes else ""
    if last in _PACKINGS and len(suffixes) > 1 and _BASES.get(suffixes[0], "parquet") != "parquet":
        return Format(_BASES[suffixes[0]], _PACKINGS[last])
    if last in _BASES:
        return Format(_BASES[last])
    if last in _UNBOUNDED:
        what = f"unsupported compression: {_UNBOUNDED[last]}"
        fix = "decompress the file, or compress it with gzip or zstd"
        raise AssayError("I006", what, where=path, fix=fix)
    what = f"unknown file extension {last!r}" if last else "the name has no file extension"
    fix = "use .csv, .tsv, .jsonl or .json (optionally followed by .gz or .zst), or .parquet"
    raise AssayError("I004", what, where=path, fix=fix)


def opened_format(path: str, limits: Limits) -> Format:
    """Return the format of a file that is about to be read.

    A path that cannot be opened, or a dangerous archive, is refused as such first.

    Raises:
        AssayError: as `format_of` and `Opened` raise, or I006, I007 or I012 for an archive.
    """
    try:
        return format_of(path)
    except AssayError:
        with Opened(path, limits) as file:
            _refuse_archive(file, limits)
        raise


def refuse_content(file: Opened, kind: Format) -> None:
    """Refuse a file whose first bytes do not match its format.

    Raises:
        AssayError: ASSAY-I004 or I007.
    """
    head = file.at(0, _PEEK)
    found = next((name for magic, name in _MAGIC if head.startswith(magic)), None)
    wanted = "Parquet" if kind.base == "parquet" else _KEEPS.get(kind.packing)
    if kind.base == "parquet" and found == "encrypted Parquet":
        raise AssayError("I007", "the Parquet file is encrypted", where=file.name)
    if found is None and head.lstrip()[:_PEEK].lower().startswith(_HTML):
        found = "an HTML page (a download may have failed)"
    if found == wanted:
        return
    actual = f"contains {found}" if found else f"does not contain {wanted}"
    fix = "rename the file, or export it again"
    what = f"the file is named as {kind.name} but {actual}"
    raise AssayError("I004", what, where=file.name, fix=fix)


def _refuse_archive(file: Opened, limits: Limits) -> None:
    tail = file.at(max(0, file.size - _TAIL), _TAIL)
    try:
        with zipfile.ZipFile(io.BytesIO(tail)) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return
    if any(Path(m.filename).is_absolute() or ".." in Path(m.filename).parts for m in members):
        raise AssayError("I012", "the path of a member leaves the archive", where=file.name)
    if any(member.flag_bits & 1 for member in members):
        raise AssayError("I007", "the archive is encrypted", where=file.name)
    total = sum(member.file_size for member in members)
    if total > max(RATIO_FLOOR, limits.max_ratio * file.size):
        what = f"the archive of {file.size:,} bytes would unpack to {total:,} bytes"
        raise AssayError("I006", what, where=file.name, fix="do not unpack it")
