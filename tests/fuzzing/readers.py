"""The readers of CSV, JSON Lines and Parquet: conservation of rows, and the same twice.

The head of a case chooses the file's name and packing, the dialect, the contract's columns and how
the second reading is cut: into other blocks and other shards, which must change nothing.
"""

import csv
import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import clean_tables
import numpy as np
import pyarrow as pa
from bad_files import reader
from fuzzing import columns, parquet_mutation
from fuzzing.target import HEAD, Target, require

from pipelines.run import reading
from provenance.base.errors import AssayError
from provenance.files import unpack
from provenance.readers.csv_dialect import ENCODINGS, Dialect
from provenance.readers.ingest import Limits, ingest
from provenance.rows.column_types import ColumnSpec
from provenance.rows.shards import as_read, read_shard, read_table
from provenance.rows.snapshot import Snapshot

SMALL = 10_000  # bytes of a seed at most
DEAR = ("bomb", "100 MB", "5,000", "1 MiB", "3 MB", "columns", "long", "lines")
NARROW = Limits(max_field_bytes=60, max_row_bytes=3000, max_lines_per_row=4, max_columns=12,
                max_rows=200)  # fmt: skip
PLAIN = Dialect()
DIALECTS = [
    *(PLAIN, PLAIN, PLAIN, PLAIN, Dialect(";"), Dialect("|"), Dialect("\t"), Dialect("", "'")),
    *(Dialect("", ""), Dialect(";", "'"), Dialect("&")),
    *(Dialect(encoding=name) for name in sorted(ENCODINGS)),
]
LAID_OUT = [
    *(Dialect(skip=1), Dialect(comment="#"), Dialect(footer=1), Dialect(trim=True, index="id")),
    *(Dialect(";", comment="%", skip=2, footer=2), Dialect(";", decimal=",", thousands=".")),
]
DIALECTS += LAID_OUT * 3
WORDS = (
    *(b'"', b'""', b'"\n', b',"', b'",', b"\r\n", b"\r", b"\n\n", b",", b";", b"\t", b"|", b"'"),
    *(b'# x, "', b"\n#", b"\n% \n", b"\nTotal,,1\n", b"sep=;\n", b"\n\n\n"),
    *(b"\0", b"\xef\xbb\xbf", b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\xf0\x9f\x99\x82", b"\x85"),
    *(b"NaN", b"inf", b"-0", b"1e400", b"9223372036854775808", b"0x10", b"+1", b"1_0", b"007"),
    *(b"2024-02-30", b"0000-01-01", b"9999-12-31T23:59:60", b"24:00", b"1.234,5", b"true", b"T"),
    *(b"\xe2\x80\xae", b"\xe2\x80\xa8", b"\x1b[2J", b"=1+1", b"<b>", b"_row", b"__assay_row"),
)
JSON_WORDS = (
    *(b"{", b"}", b"[", b"]", b"[" * 2000, b'{"a":' * 500, b":", b",", b"null", b"true", b"-0"),
    *(b"1e400", b"NaN", b"-Infinity", b"9" * 400, b'"\\ud800"', b'"\\u0000"', b"\\u", b'"id"'),
    *(b"\xed\xa0\x80", b"\xff", b"\0", b"\xef\xbb\xbf", b"\r", b"\n\n", b'"__assay_row"', b"{}"),
)


def targets() -> list[Target]:
    """Return one for each format."""
    parquet = parquet_mutation.changed
    return [
        Target("csv", lambda at: list(_csv_seeds(at)), _csv, WORDS, has_head=True, share=3),
        Target("jsonl", lambda at: list(_line_seeds(at)), _lines, JSON_WORDS, has_head=True),
        Target("json", lambda at: list(_array_seeds(at)), _array, JSON_WORDS, has_head=True),
        Target("parquet", lambda at: list(_parquet_seeds(at)), _parquet, change=parquet,
               has_head=True, share=3, contained=_in_the_product),
    ]  # fmt: skip


def _csv(case: bytes, folder: Path) -> str:
    head, body = case[:HEAD].ljust(HEAD, b"\0"), case[HEAD:]
    packing = head[0] % 10
    dialect = DIALECTS[head[1] % len(DIALECTS)]
    base = "tsv" if packing == 6 else "csv"
    names = columns.header(body, dialect.named(base))
    packed = {4: gzip.compress(body, 1), 5: pa.compress(body, "zstd", asbytes=True)}
    end = {4: ".gz", 5: ".zst", 7: ".gz", 8: ".zst"}.get(packing, "")
    path = _written(folder, f"a.{base}{end}", packed.get(packing, body))
    read, told = _both(path, columns.specs(head[2], names), head, dialect=dialect)
    is_plain = dialect not in LAID_OUT
    if is_plain and read and not read.rejected and packing in (0, 1, 2, 3, 6) and head[2] % 4 < 2:
        _as_the_standard_library(read, body, dialect.named(base))
    return told


def _lines(case: bytes, folder: Path) -> str:
    head, body = case[:HEAD].ljust(HEAD, b"\0"), case[HEAD:]
    end, data = [("", body), ("", body), (".gz", gzip.compress(body, 1)), (".gz", body)][
        head[0] % 4
    ]
    specs = columns.specs(head[2], ["a", "b", "c"] if head[1] % 4 == 3 else [])
    return _both(_written(folder, f"a.jsonl{end}", data), specs, head)[1]


def _array(case: bytes, folder: Path) -> str:
    head, body = case[:HEAD].ljust(HEAD, b"\0"), case[HEAD:]
    specs = columns.specs(head[2], ["a", "b", "c"] if head[1] % 4 == 3 else [])
    return _both(_written(folder, "a.json", body), specs, head)[1]


def _parquet(case: bytes, folder: Path) -> str:
    head, body = case[:HEAD].ljust(HEAD, b"\0"), case[HEAD:]
    path = _written(folder, "a.parquet", body)
    return _both(path, columns.parquet_specs(body, head[2]), head)[1]


def _in_the_product(case: bytes, folder: Path) -> str | None:
    """Read a case as a run does, in a child that may die of it."""
    path = _written(folder, "a.parquet", case[HEAD:])
    child = reading.started("read_bare")
    try:
        reading.ask(child, 60.0, source=str(path), folder=str(folder / "out"))
    except AssayError as error:
        return error.code if error.code == "ASSAY-I005" else None
    finally:
        child.stop()
    return None


def _both(
    path: Path, specs: tuple[ColumnSpec, ...] | None, head: bytes, **options: object
) -> tuple[Snapshot | None, str]:
    """Read a file once, or twice in other pieces; both must come to the same."""
    limits = NARROW if head[2] >= 192 else Limits()
    first = _once(path, path.parent / "first", specs, limits, **options)
    is_open = specs is None and path.name.startswith("a.json")  # the first block names the columns
    if head[3] % 2 and not is_open:
        cut = max(512, len(path.read_bytes()) // (2 + head[3] // 2 % 8))
        with mock.patch.object(unpack, "BLOCK", cut):
            rows = 7 + head[3] // 8
            second = _once(path, path.parent / "second", specs, limits, shard_rows=rows, **options)
        _require_same(first, second)
    kept = {path, *(path.parent / name for name in ("first", "second"))}
    require(set(path.parent.iterdir()) <= kept, "something was left beside the source")
    if isinstance(first, AssayError):
        raise first
    return first, _told(first)


def _once(
    path: Path, out: Path, specs: tuple[ColumnSpec, ...] | None, limits: Limits, **options: object
) -> Snapshot | AssayError:
    try:
        read = ingest([str(path)], specs, out, limits=limits, **options)
    except AssayError as error:
        return error
    shards = [read_shard(ref) for ref in read.shards]
    rows = [shard.rows for shard in shards]
    rows += [read_table(part)[name].to_numpy() for part, name in
             ((read.held, "__assay_row"), (read.rejected, "_row")) if part]  # fmt: skip
    found = np.sort(np.concatenate(rows)) if rows else np.zeros(0, np.int64)
    require(np.array_equal(found, np.arange(read.rows)), "rows were lost, or have two fates")
    require(sum(source.rows for source in read.sources) == read.rows, "the sources have other rows")
    if read.held:
        held = set(read_table(read.held)["__assay_row"].to_pylist())
        why = set(read_table(read.held_findings)["row"].to_pylist())
        require(held == why, "a row is held without a reason, or has one and is not held")
    return read


def _require_same(first: Snapshot | AssayError, second: Snapshot | AssayError) -> None:
    if isinstance(first, AssayError) or isinstance(second, AssayError):
        codes = [str(getattr(item, "code", "read")) for item in (first, second)]
        # of several faults of one file, another may be met first
        require("read" not in codes, f"{codes[0]}, and in other blocks {codes[1]}")
        return
    require(_digests(first) == _digests(second), "other values in other blocks")
    require(_texts(first) == _texts(second), "other texts in other blocks")
    for name in ("held", "rejected", "held_findings"):
        mine, theirs = getattr(first, name), getattr(second, name)
        rows = [str(read_table(part).to_pylist()) if part else "" for part in (mine, theirs)]
        require(rows[0] == rows[1], f"other rows are {name} in other blocks")
    told = [sorted({notice.code for notice in read.warnings}) for read in (first, second)]
    require(told[0] == told[1], f"warned of {told[0]}, and in other blocks of {told[1]}")


def _digests(read: Snapshot) -> bytes:
    return b"".join(read_shard(ref).digests.tobytes() for ref in read.shards)


def _texts(read: Snapshot) -> list[dict[str, str | None]]:
    pairs = zip(read.shards, read.raw, strict=False)
    return [row for ref, raw in pairs for row in as_read(read_shard(ref).table, raw).to_pylist()]


def _told(read: Snapshot) -> str:
    codes = {notice.code for notice in read.warnings}
    if read.held_findings:
        codes |= set(read_table(read.held_findings)["code"].to_pylist())
    if read.rejected:
        codes |= {
            text.partition(":")[0] for text in read_table(read.rejected)["_reason"].to_pylist()
        }
    return f"read {' '.join(sorted(codes))}"


def _as_the_standard_library(read: Snapshot, body: bytes, dialect: Dialect) -> None:
    """Require that Python's own reader sees the same cells, where no row was refused."""
    text = body.decode(dialect.encoding).removeprefix("\ufeff")
    form = {"delimiter": dialect.delimiter, "quotechar": dialect.quote or None}
    form |= {} if dialect.quote else {"quoting": csv.QUOTE_NONE}
    rows = list(csv.reader(io.StringIO(text, newline=""), **form))
    names = next((row for row in rows if row), [])
    wanted = rows[rows.index(names) + 1 :]
    wanted = [row or [""] for row in wanted] if len(names) == 1 else [row for row in wanted if row]
    seen = {}
    for ref, raw in zip(read.shards, read.raw, strict=True):
        shard = read_shard(ref)
        for row, cells in zip(shard.rows.tolist(), as_read(shard.table, raw).to_pylist(),
                              strict=True):  # fmt: skip
            seen[row] = [cells[name] or "" for name in names]
    if read.held:
        for cells in read_table(read.held).to_pylist():
            seen[cells["__assay_row"]] = [cells[name] or "" for name in names]
    require([seen[row] for row in sorted(seen)] == wanted, "Python's csv reads other cells")


def _written(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@contextmanager
def _made(folder: Path, ends: tuple[str, ...]) -> Iterator[list[tuple[str, bytes]]]:
    """Make the small files of `tests/bad_files` that have one of the endings."""
    found = []
    for number, case in enumerate(reader.all_cases()):
        if any(word in case.name for word in DEAR) or case.user:
            continue
        home = folder / str(number)
        home.mkdir()
        path = Path(case.make(home))
        plain = path.is_file() and not path.is_symlink() and path.is_relative_to(home)
        if plain and path.name.endswith(ends) and path.stat().st_size <= SMALL:
            found.append((path.name, path.read_bytes()))
    yield found


def _csv_seeds(folder: Path) -> Iterator[bytes]:
    with _made(folder, (".csv", ".tsv", ".gz", ".zst")) as files:
        for number, (name, data) in enumerate(files):
            if "jsonl" not in name:
                packing = 7 if name.endswith(".gz") else 8 if name.endswith(".zst") else 0
                yield bytes((packing, 0, 2 + number % 64 * 4, number % 256)) + data
    for seed in range(80):
        made = clean_tables.table(seed)
        name, data, dialect = clean_tables.as_csv(made, seed)
        packing = 7 if name.endswith(".gz") else 8 if name.endswith(".zst") else 0
        packing = 6 if name.endswith(".tsv") else packing
        place = DIALECTS.index(dialect) if dialect in DIALECTS else 0
        if len(data) <= SMALL:
            yield bytes((packing, place, 1 + seed * 4 % 256, seed * 2 + 1)) + data


def _line_seeds(folder: Path) -> Iterator[bytes]:
    with _made(folder, (".jsonl", ".ndjson", ".jsonl.gz")) as files:
        for number, (name, data) in enumerate(files):
            yield bytes((3 if name.endswith(".gz") else 0, 0, number % 256, number % 256)) + data
    for seed in range(40):
        name, data = clean_tables.as_lines(clean_tables.table(seed), seed)
        if len(data) <= SMALL and not name.endswith(".zst"):
            yield bytes((3 if name.endswith(".gz") else 0, 0, seed * 4, seed)) + data
    yield b'\0\3\2\1{"a": 1, "b": "x", "c": null}\n{"a": 2, "b": "y", "c": true}\n' * 2


def _array_seeds(folder: Path) -> Iterator[bytes]:
    for case in _line_seeds(folder):
        lines = [line for line in case[HEAD:].split(b"\n") if line.strip()]
        yield case[:HEAD] + b"[" + b",\n".join(lines) + b"]\n"


def _parquet_seeds(folder: Path) -> Iterator[bytes]:
    with _made(folder, (".parquet",)) as files:
        for number, (_, data) in enumerate(files):
            yield bytes((0, 0, number % 256, number % 256)) + data
    for seed in range(40):
        data, _ = clean_tables.as_parquet(clean_tables.table(seed), seed)
        yield bytes((0, 0, 1 + seed % 3, seed * 2 + 1)) + data
