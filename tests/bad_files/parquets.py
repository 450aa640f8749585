"""Parquet files that are cut, flipped, encrypted, nested, or that declare more than they are."""

import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from bad_files.kind import NAMES, ROWS, Bad, cells, contract, file

TYPES = {"id": pa.int64(), "age": pa.int64(), "amount": pa.float64(), "day": pa.date32()}
NUMBERS = """\
apiVersion: v3.1.0
kind: DataContract
name: numbers
schema:
  - name: numbers
    properties:
      - {name: x, logicalType: number}
"""


def table() -> pa.Table:
    """Return the honest rows with types of their own."""
    texts = pa.table(list(zip(*cells(), strict=True)), names=NAMES)
    return pa.table({name: texts[name].cast(TYPES.get(name, pa.string())) for name in NAMES})


def saved(made: pa.Table, **options: Any) -> bytes:
    """Return a table as Parquet, with page checksums unless told otherwise."""
    sink = io.BytesIO()
    pq.write_table(made, sink, **{"write_page_checksum": True, **options})
    return sink.getvalue()


def with_column(name: str, column: Any) -> pa.Table:
    """Return the honest table with one column replaced."""
    return table().set_column(NAMES.index(name), name, column)


def _with_cell(name: str, value: Any, row: int = 5) -> pa.Table:
    column = table()[name].combine_chunks()
    mask = pa.array(np.arange(ROWS) == row)
    return with_column(name, pc.if_else(mask, pa.scalar(value, column.type), column))


def _flipped(places: tuple[int, ...] = (200,), made: bytes | None = None, **options: Any) -> bytes:
    plain = {"compression": "none", "use_dictionary": False, **options}
    data = bytearray(made or saved(table(), **plain))
    for place in places:
        data[place] ^= 4
    return bytes(data)


def _recorded(good: bytes, bad: bytes) -> Callable[[Path], str]:
    """Return a maker of a file beside which the digest of another one stands."""

    def make(folder: Path) -> str:
        told = hashlib.sha256(good).hexdigest()
        (folder / "in.parquet.sha256").write_text(f"{told}  in.parquet\n")
        return file("in.parquet", bad)(folder)

    return make


def _run_length() -> bytes:
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, pa.schema([("x", pa.float64())])) as writer:
        zeros = pa.table({"x": np.zeros(10_000_000)})
        for _ in range(6):
            writer.write_table(zeros, row_group_size=10_000_000)
    return sink.getvalue()


def _dictionary() -> bytes:
    value = pa.array(["x" * 1_000_000])
    note = pa.DictionaryArray.from_arrays(pa.array(np.zeros(200_000, np.int32)), value)
    return saved(pa.table({"note": note}), dictionary_pagesize_limit=2_000_000)


def _encrypted(*, plain_footer: bool) -> bytes:
    import pyarrow.parquet.encryption as pe

    class Keys(pe.KmsClient):
        def __init__(self, _: Any) -> None:
            pe.KmsClient.__init__(self)

        def wrap_key(self, key: bytes, _: str) -> str:
            return key.hex()

        def unwrap_key(self, key: bytes, _: str) -> bytes:
            return bytes.fromhex(key.decode() if isinstance(key, bytes) else key)

    how = pe.EncryptionConfiguration(
        footer_key="f", column_keys={"c": ["note"]}, plaintext_footer=plain_footer
    )
    factory = pe.CryptoFactory(Keys)
    properties = factory.file_encryption_properties(pe.KmsConnectionConfig(), how)
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, table().schema, encryption_properties=properties) as writer:
        writer.write_table(table())
    return sink.getvalue()


def _mojibake() -> pa.Table:
    raw = [text.as_py().encode() for text in table()["note"]]
    raw[5] = b"caf\xe9"
    column = pa.array(raw, pa.binary())
    return with_column("note", pa.Array.from_buffers(pa.string(), ROWS, column.buffers()))


def _refused() -> Iterator[tuple[str, Any, str]]:
    good = saved(table())
    yield "no rows", saved(table().slice(0, 0)), "I002"
    yield "empty Parquet", b"", "I001"
    for keep in (11, 500, -1, -9):
        yield f"Parquet cut at {keep}", good[:keep], "I003"
    yield "footer larger than its file", good[:-8] + (10**9).to_bytes(4, "little") + b"PAR1", "I003"
    yield (
        "Parquet by its marks only",
        b"PAR1" + bytes(50) + (20).to_bytes(4, "little") + b"PAR1",
        "I005",
    )
    for place in (120, 700, 2000):
        yield f"bit flipped at {place}", _flipped((place,)), "I005"
    yield "encrypted", b"PARE" + bytes(50) + b"PARE", "I007"
    yield "encrypted throughout", lambda: _encrypted(plain_footer=False), "I007"
    yield "encrypted column", lambda: _encrypted(plain_footer=True), "I007"
    yield "dictionary bomb", _dictionary, "I018"
    for what, column in {
        "list": [[1]] * ROWS,
        "struct": [{"a": 1}] * ROWS,
        "map": pa.array([[("k", 1)]] * ROWS, pa.map_(pa.string(), pa.int64())),
    }.items():
        yield f"nested column: {what}", saved(with_column("note", pa.array(column))), "I008"
    halves = pa.array([n / 2 for n in range(ROWS)])
    for name, column in (("age", table()["age"].cast(pa.string())), ("age", halves)):
        yield f"{name} as {column.type}", saved(with_column(name, column)), "I008"
    yield "5,000 columns", lambda: saved(pa.table({f"c{n}": [1] for n in range(5000)})), "I009"
    yield "column missing in Parquet", saved(table().drop_columns("city")), "I018"
    twice = table().rename_columns(["id", "code", "age", "age", *NAMES[4:]])
    yield "name twice in Parquet", saved(twice), "I026"
    yield "name empty in Parquet", saved(table().rename_columns(["id", "", *NAMES[2:]])), "I027"


def cases() -> Iterator[Bad]:
    """Yield all of them."""
    for what, data, code in _refused():
        yield Bad(what, code, "refused", file("in.parquet", data), is_typed=True)
    good, bare = saved(table()), saved(table(), write_page_checksum=False)
    flipped = _flipped((-200,), bare)
    by = contract(NUMBERS, limits={"max_rows": 9})
    yield Bad(
        "run-length bomb", "I006", "refused", file("in.parquet", _run_length), contract=NUMBERS
    )
    notes = NUMBERS.replace("x, logicalType: number", "note, logicalType: string")
    yield Bad("dictionary bomb of one column", "I006", "refused", file("in.parquet", _dictionary),
              contract=notes)  # fmt: skip
    ten = saved(pa.table({"x": [0.5] * 10}))
    yield Bad("more rows than the limit", "I006", "refused", file("in.parquet", ten), contract=by)
    yield Bad("bytes that are not the recorded ones", "I005", "refused", _recorded(good, flipped))
    yield Bad("no page checksums", "I005", "warned", file("in.parquet", bare), is_typed=True)
    yield Bad("the recorded bytes", "", "accepted", _recorded(bare, bare), is_typed=True)
    yield Bad("nothing wrong in Parquet", "", "accepted", file("in.parquet", good), is_typed=True)
    held = {
        "NaN in Parquet": ("amount", float("nan"), "V001"),
        "infinity in Parquet": ("amount", float("inf"), "V002"),
        "NUL in Parquet": ("note", "a\0b", "I023"),
        "field over 1 MiB in Parquet": ("note", "x" * ((1 << 20) + 1), "I030"),
    }
    for what, (name, value, code) in held.items():
        make = file("in.parquet", saved(_with_cell(name, value)))
        yield Bad(what, code, "held", make, rows=(5,), is_typed=True)
    make = file("in.parquet", saved(_mojibake()))
    yield Bad(
        "text that is not UTF-8 in Parquet", "I022", "rejected", make, rows=(5,), is_typed=True
    )
    beyond = saved(_with_cell("age", 2**53 + 1))
    yield Bad("integer beyond 2**53 in Parquet", "", "accepted", file("in.parquet", beyond),
              kept={(5, "age"): str(2**53 + 1)}, is_typed=True)  # fmt: skip
