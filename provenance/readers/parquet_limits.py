"""Checks the sizes that a Parquet footer declares before anything is decoded.

A few kilobytes can declare terabytes by repeating one value or one dictionary entry. The footer's
row and byte counts bound the fixed-width columns. For texts with a dictionary, the largest entry
gives the bound; if that is too coarse, the entries are counted as they are used.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from provenance.base.errors import AssayError
from provenance.base.limits import MIB, Limits
from provenance.files.safe_open import Opened
from provenance.rows.nested import leaves

_MAGIC, _ENCRYPTED = b"PAR1", b"PARE"
_SIGNATURE = 28  # bytes after a footer that is signed and not encrypted
_SMALLEST = 12  # magic, footer length, magic
_TEXT_MIN = 4  # bytes that any text takes in memory, for its offset
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8, "INT96": 12}
_FLOOR = 256 * MIB  # decoded bytes that are cheap at any ratio
_STEP = 1 << 16


def refuse_ends(file: Opened, limits: Limits) -> None:
    """Refuse a Parquet file without its end marker, or whose footer is larger than the file.

    Raises:
        AssayError: ASSAY-I003, I006 or I007.
    """
    tail = file.at(max(0, file.size - 8), 8)
    if tail.endswith(_ENCRYPTED):
        raise AssayError("I007", "the Parquet file is encrypted", where=file.name)
    if file.size < _SMALLEST or not tail.endswith(_MAGIC):
        what = f"the file ends after byte {file.size:,} without its end marker"
        raise AssayError("I003", what, where=file.name)
    footer = int.from_bytes(tail[:4], "little")
    if footer > file.size - _SMALLEST:
        what = f"the footer claims {footer:,} bytes, but the file has only {file.size:,}"
        raise AssayError("I003", what, where=file.name)
    most = limits.max_columns * 64 * 1024
    if footer > most:
        what = f"the footer of {footer:,} bytes exceeds the limit of {most:,}"
        raise AssayError("I006", what, where=file.name, fix="raise assay.limits.max_columns")


def refuse_declared(meta: pq.FileMetaData, file: Opened, limits: Limits) -> None:
    """Refuse a file whose footer contradicts itself or declares too much.

    Raises:
        AssayError: ASSAY-I005, I006 or I007.
    """
    _refuse_signed(meta, file)
    groups = [meta.row_group(place) for place in range(meta.num_row_groups)]
    counts = [group.num_rows for group in groups]
    if meta.num_rows < 0 or min(counts, default=0) < 0 or sum(counts) != meta.num_rows:
        raise _contradiction(file)
    if meta.num_rows > limits.max_rows:
        what = f"{meta.num_rows:,} rows exceed the limit of {limits.max_rows:,}"
        raise AssayError("I006", what, where=file.name, fix="raise assay.limits.max_rows")
    width = sum(_width(meta.schema.column(place)) for place in range(meta.num_columns))
    refuse_size(meta.num_rows * width, f"{meta.num_rows:,} rows x {width} bytes", file, limits)
    total = decoded = 0
    for group in groups:
        for place in range(group.num_columns):
            column = group.column(place)
            if min(column.total_compressed_size, column.total_uncompressed_size) < 0:
                raise _contradiction(file)
            total += column.total_uncompressed_size
            decoded += column.num_values * _width(meta.schema.column(place))
    refuse_size(decoded, f"{decoded:,} bytes of values", file, limits)
    refuse_size(total, f"{total:,} bytes uncompressed", file, limits)


def refuse_items_declared(meta: pq.FileMetaData, file: Opened, limits: Limits) -> None:
    """Refuse lists that are longer than the limit on average, before they are decoded (I006)."""
    for number in range(meta.num_row_groups):
        group = meta.row_group(number)
        for place in range(group.num_columns):
            values = group.column(place).num_values
            if values > group.num_rows * limits.max_items:
                what = f"row group {number} has {values:,} values of a column in "
                what += f"{group.num_rows:,} rows, more than {limits.max_items:,} in each"
                fix = "raise assay.limits.max_items"
                raise AssayError("I006", what, where=file.name, fix=fix)


def _refuse_signed(meta: pq.FileMetaData, file: Opened) -> None:
    """Refuse a plaintext footer of encrypted columns, which would crash Arrow when accessed.

    Such a footer is followed by its signature, so it is shorter than the file declares.
    """
    declared = int.from_bytes(file.at(file.size - 8, 4), "little")
    if declared - meta.serialized_size == _SIGNATURE:
        what = "columns of the Parquet file are encrypted"
        raise AssayError("I007", what, where=file.name)


def refuse_size(size: int, amount: str, file: Opened, limits: Limits) -> None:
    """Refuse a decoded size over the limits (ASSAY-I006); `amount` describes it in messages."""
    if not _is_over(size, file, limits):
        return
    key, limit = "max_ratio", f"{limits.max_ratio} to 1"
    if size > limits.max_unpacked_bytes:
        key, limit = "max_unpacked_bytes", f"{limits.max_unpacked_bytes:,} bytes"
    what = f"{amount} from a file of {file.size:,} bytes exceed the limit of {limit}"
    fix = f"if the file is legitimate, raise assay.limits.{key}"
    raise AssayError("I006", what, where=file.name, fix=fix)


def _is_over(size: int, file: Opened, limits: Limits) -> bool:
    if size > limits.max_unpacked_bytes:
        return True
    return size > _FLOOR and size > limits.max_ratio * file.size


def refuse_dictionaries(source: pa.NativeFile, file: Opened, limits: Limits) -> None:
    """Refuse texts that a dictionary inflates beyond the limits (ASSAY-I006).

    Reads the dictionaries, and the indices only if necessary.
    """
    meta = pq.read_metadata(source)
    names = _with_dictionary(meta)
    if not names:
        return
    options: dict[str, Any] = {"page_checksum_verification": True, "pre_buffer": False}
    options |= {"read_dictionary": names, "arrow_extensions_enabled": False}  # JSON has none
    with pq.ParquetFile(source, **options) as opened:
        bound = 0
        for group in range(meta.num_row_groups):
            most = _values(meta.row_group(group), names)
            first = next(opened.iter_batches(1, row_groups=[group], columns=names), None)
            for leaf in _leaves(first) if first is not None and most else ():
                bound += most * int(_sizes(leaf).max(initial=0))
        if not _is_over(bound, file, limits):
            return
        total = 0
        for column in _columns(opened, names):
            lengths = _sizes(column)
            used = column.indices.drop_null().to_numpy(zero_copy_only=False)
            total += int(lengths[used].sum())
            refuse_size(total, f"at least {total:,} bytes of text", file, limits)


def batches(opened: pq.ParquetFile, step: int, **options: Any) -> Iterator[pa.RecordBatch]:
    """Yield the rows; group by group where Arrow cannot join the dictionaries of nested columns."""
    if not any(map(_is_coded_inside, opened.schema_arrow)):
        yield from opened.iter_batches(step, **options)
        return
    for group in range(opened.num_row_groups):
        yield from opened.iter_batches(step, row_groups=[group], **options)


def _is_coded_inside(field: pa.Field) -> bool:
    inner = [field.type.field(n) for n in range(field.type.num_fields)]
    return any(pa.types.is_dictionary(part.type) or _is_coded_inside(part) for part in inner)


def has_checksums(meta: pq.FileMetaData, file: Opened) -> bool:
    """Return whether the first page of the file carries a checksum."""
    groups = (meta.row_group(place) for place in range(meta.num_row_groups))
    filled = next((group for group in groups if group.num_rows), None)  # others may have no pages
    if filled is None or not meta.num_columns:
        return True
    column = filled.column(0)
    offsets = (column.dictionary_page_offset, column.data_page_offset)
    head = file.at(min(offset for offset in offsets if offset), 32)
    # Thrift compact page header: type, two sizes, then the checksum if there is one
    place, integer = 0, 0x15  # next field, of type i32
    for _ in range(3):
        if place >= len(head) or head[place] != integer:
            return False
        place += 1
        while place < len(head) and head[place] & 0x80:
            place += 1
        place += 1
    return place < len(head) and head[place] == integer


def _width(column: pq.ColumnSchema) -> int:
    if column.physical_type == "FIXED_LEN_BYTE_ARRAY":
        return int(column.length)
    return _WIDTHS.get(column.physical_type, _TEXT_MIN)


def _with_dictionary(meta: pq.FileMetaData) -> list[str]:
    found = []
    for place in range(meta.num_columns):
        chunks = (meta.row_group(group).column(place) for group in range(meta.num_row_groups))
        if meta.schema.column(place).physical_type == "BYTE_ARRAY" and any(
            chunk.has_dictionary_page for chunk in chunks
        ):
            found.append(meta.schema.column(place).path)
    return found


def _sizes(column: pa.Array) -> np.ndarray:
    column = column.storage if isinstance(column, pa.ExtensionArray) else column
    values = column.dictionary if pa.types.is_dictionary(column.type) else column
    sizes: np.ndarray = pc.fill_null(pc.binary_length(values), 0).to_numpy(zero_copy_only=False)
    return sizes.astype(np.int64)


def _columns(opened: pq.ParquetFile, names: list[str]) -> Iterator[pa.DictionaryArray]:
    for batch in batches(opened, _STEP, columns=names):
        yield from (leaf for leaf in _leaves(batch) if pa.types.is_dictionary(leaf.type))


def _leaves(batch: pa.RecordBatch) -> Iterator[pa.Array]:
    for column in batch.columns:
        yield from (leaf.values for leaf in leaves(column, ""))


def _values(group: pq.RowGroupMetaData, names: list[str]) -> int:
    """Return the largest number of values of some columns in a row group: its rows if flat."""
    columns, wanted = map(group.column, range(group.num_columns)), set(names)
    return max((c.num_values for c in columns if c.path_in_schema in wanted), default=0)


def _contradiction(file: Opened) -> AssayError:
    return AssayError("I005", "the footer contradicts itself", where=file.name)
