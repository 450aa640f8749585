"""Formats: what a file's name promises, and whether its first bytes keep that promise."""

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
_TAIL = 1 << 20  # bytes in which a zip's directory is looked for


@dataclasses.dataclass(frozen=True, slots=True)
class Format:
    """A format by name: `base` is csv, tsv, jsonl or parquet; `packing` is empty, gz or zst."""

    base: str
    packing: str = ""

    @property
    def name(self) -> str:
        """Return the format as the snapshot records it, e.g. `csv.gz`."""
        return f"{self.base}.{self.packing}" if self.packing else self.base

    @property
    def is_text(self) -> bool:
        """Return whether every cell is text until it is cast."""
        return self.base != "parquet"


def format_of(path: str) -> Format:
    """Return the format that a file's name promises; the file is not looked at.

    Raises:
        AssayError: ASSAY-I004 for an unknown ending, I006 for one whose unpacking has no bound.
    """
    suffixes = [suffix.lower() for suffix in Path(path).suffixes[-2:]]
    last = suffixes[-1] if suffixes else ""
    if last in _PACKINGS and len(suffixes) > 1 and _BASES.get(suffixes[0], "parquet") != "parquet":
        return Format(_BASES[suffixes[0]], _PACKINGS[last])
    if last in _BASES:
        return Format(_BASES[last])
    if last in _UNBOUNDED:
        what = f"{_UNBOUNDED[last]} is not unpacked"
        raise AssayError("I006", what, where=path, fix="unpack it, or pack it with gzip or zstd")
    told = f"a name that ends in {last!r}" if last else "a name without an ending"
    fix = "name it .csv, .tsv, .jsonl (each may be .gz or .zst too) or .parquet"
    raise AssayError("I004", f"{told} is of no known format", where=path, fix=fix)


def opened_format(path: str, limits: Limits) -> Format:
    """Return the format of a file that is to be read; what is no file is refused as such first.

    Raises:
        AssayError: what `format_of` raises, or the door (I010, I011, I014), or I007 or I012 for
            an archive that is not even worth unpacking by hand.
    """
    try:
        return format_of(path)
    except AssayError:
        with Opened(path, limits) as file:
            _refuse_archive(file, limits)
        raise


def refuse_content(file: Opened, kind: Format) -> None:
    """Refuse a file whose first bytes are not of its format.

    Raises:
        AssayError: ASSAY-I003, I004, I007.
    """
    head = file.at(0, _PEEK)
    found = next((told for magic, told in _MAGIC if head.startswith(magic)), None)
    if kind.base == "parquet":
        if found == "encrypted Parquet":
            raise AssayError(
                "I007", "the Parquet file is encrypted", where=file.name, fix="decrypt it"
            )
        wanted: str | None = "Parquet"
    else:
        wanted = _KEEPS.get(kind.packing)
    if found is None and head.lstrip()[:_PEEK].lower().startswith(_HTML):
        found = "an HTML page: a download may have failed"
    if found == wanted:
        return
    told = f"holds {found}" if found else f"does not hold {wanted}"
    fix = "rename the file, or export it again"
    raise AssayError("I004", f"named as {kind.name}, but {told}", where=file.name, fix=fix)


def _refuse_archive(file: Opened, limits: Limits) -> None:
    tail = file.at(max(0, file.size - _TAIL), _TAIL)
    try:
        with zipfile.ZipFile(io.BytesIO(tail)) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return
    if any(Path(m.filename).is_absolute() or ".." in Path(m.filename).parts for m in members):
        what = "a member's name leaves the archive"
        raise AssayError("I012", what, where=file.name, fix="unpack it by hand and check it")
    if any(member.flag_bits & 1 for member in members):
        raise AssayError("I007", "the archive is encrypted", where=file.name, fix="decrypt it")
    total = sum(member.file_size for member in members)
    if total > max(RATIO_FLOOR, limits.max_ratio * file.size):
        what = f"the archive would unpack to {total:,} bytes from {file.size:,}"
        raise AssayError("I006", what, where=file.name, fix="do not unpack it")
