"""Formats: what a file's name promises, and whether its first bytes keep that promise."""

import dataclasses
import io
import stat
import zipfile
from pathlib import Path

from provenance.errors import AssayError
from provenance.guard import Opened

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
_TAIL = 1 << 16  # a zip's directory is looked for in this many bytes more than it claims


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
    """Return the format that a file's name promises.

    Raises:
        AssayError: ASSAY-I004 for an unknown ending, I006 for one whose unpacking has no bound;
            what is no regular file is refused as such when it is opened (I010, I014).
    """
    suffixes = [suffix.lower() for suffix in Path(path).suffixes[-2:]]
    last = suffixes[-1] if suffixes else ""
    if last in _PACKINGS and len(suffixes) > 1 and _BASES.get(suffixes[0], "parquet") != "parquet":
        return Format(_BASES[suffixes[0]], _PACKINGS[last])
    if last in _BASES:
        return Format(_BASES[last])
    if _is_odd(path):
        return Format("csv")
    if last in _UNBOUNDED:
        what = f"{_UNBOUNDED[last]} is not unpacked"
        raise AssayError("I006", what, where=path, fix="unpack it, or pack it with gzip or zstd")
    return _unknown(path, last)


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


def _is_odd(path: str) -> bool:
    # a pipe, a device or nothing at all is refused by the door, whatever its name
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):
        return True
    return not stat.S_ISREG(mode) or path.startswith("/proc/")


def _unknown(path: str, suffix: str) -> Format:
    if suffix == ".zip":
        _refuse_zip(path)
    told = f"a name that ends in {suffix!r}" if suffix else "a name without an ending"
    fix = "name it .csv, .tsv, .jsonl (each may be .gz or .zst too) or .parquet"
    raise AssayError("I004", f"{told} is of no known format", where=path, fix=fix)


def _refuse_zip(path: str) -> None:
    """Say why an archive is not even worth unpacking by hand."""
    from provenance.limits import RATIO_FLOOR, Limits

    with Opened(path, Limits()) as file:
        tail = file.at(max(0, file.size - 16 * _TAIL), 16 * _TAIL)
        size = file.size
    try:
        with zipfile.ZipFile(io.BytesIO(tail)) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return
    if any(Path(m.filename).is_absolute() or ".." in Path(m.filename).parts for m in members):
        what = "a member's name leaves the archive"
        raise AssayError("I012", what, where=path, fix="unpack it by hand and check it")
    if any(member.flag_bits & 1 for member in members):
        raise AssayError("I007", "the archive is encrypted", where=path, fix="decrypt it")
    total = sum(member.file_size for member in members)
    if total > max(RATIO_FLOOR, Limits().max_ratio * size):
        what = f"the archive would unpack to {total:,} bytes from {size:,}"
        raise AssayError("I006", what, where=path, fix="do not unpack it")
