"""Columns of types that few tools know, as plainer types that hold the same values.

A view of a text or of bytes becomes a string or binary, a UUID its text, and any other extension
type, such as JSON or a tensor, the type that stores it. Views of lists stay what they are, and are
refused: Arrow's cast of a nested one loses values.
"""

import numpy as np
import pyarrow as pa

from provenance.rows.arrow_bytes import whole
from provenance.rows.nested import is_list, replaced

_UUID, _BYTES = "arrow.uuid", 16
_DIGITS = np.array([f"{byte:02x}" for byte in range(256)], "S2")
_DASHES = (8, 13, 18, 23)  # places in the text of a UUID


def plain_leaf(kind: pa.DataType) -> pa.DataType:
    """Return the plainer type of a column or leaf; its own if it has none."""
    if isinstance(kind, pa.BaseExtensionType):
        is_uuid = kind.extension_name == _UUID
        return pa.string() if is_uuid else plain_leaf(kind.storage_type)
    if pa.types.is_binary_view(kind):
        return pa.binary()
    return pa.string() if pa.types.is_string_view(kind) else kind


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema of `plain_table`."""
    return pa.schema([field.with_type(_plain(field.type)) for field in schema], schema.metadata)


def plain_table(table: pa.Table) -> pa.Table:
    """Return a table with its columns, and what lies in them, in plainer types."""
    for place, field in enumerate(table.schema):
        kind = _plain(field.type)
        if kind != field.type:
            column = whole(table.column(place))
            if isinstance(field.type, pa.BaseExtensionType) and pa.types.is_nested(kind):
                column = column.storage
            column = replaced(column, field.name, lambda values, _: _converted(values), kind)
            table = table.set_column(place, field.with_type(kind), column)
    return table


def _plain(kind: pa.DataType) -> pa.DataType:
    kind = plain_leaf(kind)
    if pa.types.is_struct(kind):
        return pa.struct([part.with_type(_plain(part.type)) for part in kind])
    if pa.types.is_map(kind):
        key, item = (f.with_type(_plain(f.type)) for f in (kind.key_field, kind.item_field))
        return pa.map_(key, item, kind.keys_sorted)
    if not is_list(kind):
        return kind
    items = kind.value_field.with_type(_plain(kind.value_type))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(items, kind.list_size)
    return pa.large_list(items) if pa.types.is_large_list(kind) else pa.list_(items)


def _converted(values: pa.Array) -> pa.Array:
    kind = plain_leaf(values.type)
    if kind == values.type:
        return values
    is_uuid = isinstance(values.type, pa.BaseExtensionType) and values.type.extension_name == _UUID
    return _texts_of(values.storage) if is_uuid else values.cast(kind)


def _texts_of(uuids: pa.Array) -> pa.Array:
    """Return the texts of UUIDs, such as 86ddb87f-8e74-4fac-889d-91a243d52e62."""
    if not len(uuids):
        return pa.array([], pa.string())
    flat = np.frombuffer(uuids.buffers()[1], np.uint8)
    raw = flat[uuids.offset * _BYTES :][: len(uuids) * _BYTES]
    made = np.full((len(uuids), 2 * _BYTES + len(_DASHES)), b"-", "S1")
    digits = [place for place in range(made.shape[1]) if place not in _DASHES]
    made[:, digits] = _DIGITS[raw].view("S1").reshape(len(uuids), -1)
    texts = made.view(f"S{made.shape[1]}").reshape(-1).astype(str)
    return pa.array(texts, pa.string(), mask=uuids.is_null().to_numpy(zero_copy_only=False))
