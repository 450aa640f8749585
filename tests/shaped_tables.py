"""Honest tables of every shape: types, roles, sizes, shares of missing values, and names.

Seeded: shape 17 is the same everywhere. `shape_runs` examines one from end to end.
"""

import csv
import dataclasses
import io
import json
import random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from shaped_cells import JSON_NESTED, KINDS, NESTED, TEXT_KINDS, values

SIZES = (1, 2, 3, 10, 50, 300)
WIDE = 320  # columns of a table that is only wide
GAPS = (0.0, 0.0, 0.0, 0.1, 0.5, 0.9)
# the flavour says how the values of a column repeat
FLAVOURS = ("any", "any", "any", "few", "few", "constant", "unique", "null")
ROLES = ("label", "text", "source", "time", "key", "quasi_identifier", "ignore")
NESTED_ROLES = {  # by what the kind of a column begins with
    "turns": ("messages",), "vector": ("embedding",), "tokens": ("tokens", "tags", "labels"),
    "codes": ("tags", "labels", "tokens"), "marks": ("spans",),
}  # fmt: skip
PII = ("redact", "pseudonymise", "allow", "quarantine")
NAMES = (
    "id", "age", "a b", " led", "trailed ", "two\nlines", 'a "quoted" one', "it's", "x.y", "été",
    "年龄", "\U0001f642", "select", "order", "table", "null", "true", "row", "rowid", "index",
    "Age", "AGE", "label", "source", "created_at", "city", "a,b", "a;b|c", "a\tb", "%s", "{x}",
    "$1", "back\\slash", "`x`", "[x]", "#x", "-", "*", "n" * 300, "0", "1e5", "class", "email",
    "target_",
    "colour\n(name)", "a\u00a0b", "a\u3000b", "%(a)s", ":p", "?", "p1", "x y", "a]b", "~~", "x:y",
    "__assay_x", "score", "_digest", "value", "count", "fold", "a/b", "e\u0301te\u0301",
    "from", "where", "group by", "__proto__", "constructor", "m[]", "m[].x", "a[0]", "a..b", ".",
    "-- x", "'; --", "/*", "Stra\u00dfe", "STRASSE", "\u0130", "a.b", 'a."b"',
    "\U0001f468\u200d\U0001f469",
)  # fmt: skip
RESERVED = ("_row", "_reasons", "__assay_row", " ")  # refused, with a code
Draw = random.Random


@dataclasses.dataclass(frozen=True)
class Shaped:
    """A table, the file that holds it, and what a contract shall say of it.

    Attributes:
        form: of the file: `parquet`, `csv` or `jsonl`.
        data: the file's bytes.
        cells: what each cell of a text file holds, by column; empty for Parquet.
        roles: of some columns, by name.
        with_reference: whether a run compares the table with itself, as its reference.
        pii: what a contract asks for personal data in some text columns, by name.
        may_lack: whether the contract allows that labels are missing.
        refusals: the codes with which this shape may be refused.
        about: the shape in one line.
    """

    form: str
    data: bytes
    cells: dict[str, list[Any]]
    rows: int
    roles: dict[str, str]
    with_reference: bool
    pii: dict[str, str]
    may_lack: bool
    refusals: frozenset[str]
    about: str


def shaped(seed: int) -> Shaped:
    """Return the shape of a seed."""
    draw = random.Random(seed)
    rows, columns = draw.choice(SIZES), draw.choice((1, 2, 2, 3, 5, 8, 12))
    rare = draw.random()
    if rare < 0.02:
        rows = 0
    elif rare < 0.03:
        rows, columns = draw.choice((2, 40)), WIDE
    form = draw.choice(("parquet", "parquet", "parquet", "csv", "jsonl", "jsonl"))
    kinds = {"parquet": KINDS | NESTED, "jsonl": TEXT_KINDS | JSON_NESTED, "csv": TEXT_KINDS}[form]
    chosen = _kinds(draw, kinds, columns)
    names = _names(draw, columns)
    arrays, about = [], []
    for name, kind in zip(names, chosen, strict=True):
        flavour, gap = draw.choice(FLAVOURS), draw.choice(GAPS)
        arrays.append(kinds[kind](draw, values(draw, kind, flavour, gap, rows)))
        about.append(f"{name[:12]!r} {kind} {flavour} {gap}")
    table = pa.table(arrays, names=names)
    by_name = dict(zip(names, chosen, strict=True))
    roles = _roles(draw, [name for name in names if not _is_nested(by_name[name])])
    roles |= _nested_roles(draw, by_name)
    line = f"{form} {rows}x{columns} {roles!r:.80}: {'; '.join(about)}"
    refusals = _refusals(table, form) | _bytes_as_label(table, roles)
    data, cells = FORMS[form](table, draw)
    has_reference = draw.random() < 0.3
    texts = [name for name, kind in by_name.items() if "string" in kind]
    pii = {name: draw.choice(PII) for name in texts if draw.random() < 0.2}
    may_lack = draw.random() < 0.3
    return Shaped(form, data, cells, rows, roles, has_reference, pii, may_lack, refusals, line)


def _kinds(draw: Draw, kinds: dict[str, Any], count: int) -> list[str]:
    """Return the kind of each column; a third of the tables have nested ones among them."""
    flat = tuple(kind for kind in kinds if not _is_nested(kind))
    nested = tuple(kind for kind in kinds if _is_nested(kind))
    chosen = [draw.choice(flat) for _ in range(count)]
    if draw.random() < 0.3:  # columns of one kind, such as texts alone
        chosen = [chosen[0]] * count
    if nested and count < WIDE and draw.random() < 0.4:
        for place in draw.sample(range(count), draw.randint(1, count)):
            chosen[place] = draw.choice(nested)
    return chosen


def _is_nested(kind: str) -> bool:
    return kind in NESTED or kind in JSON_NESTED


def _names(draw: Draw, count: int) -> list[str]:
    made: dict[str, None] = {}
    while len(made) < count:
        name = draw.choice(NAMES)
        made[f"{name}{len(made)}" if name in made else name] = None
    names = list(made)
    if draw.random() < 0.03:
        names[draw.randrange(count)] = draw.choice(RESERVED)
    return names


def _roles(draw: Draw, names: list[str]) -> dict[str, str]:
    """Return roles for some columns: of the label at most one, of the others several."""
    roles = {}
    for role in draw.sample(ROLES, draw.choice((0, 1, 2, 3, 5))):
        free = [name for name in names if name not in roles]
        several = 1 if role in {"label", "key"} else draw.choice((1, 1, 2, len(names)))
        roles |= dict.fromkeys(draw.sample(free, min(several, len(free))), role)
    return roles


def _nested_roles(draw: Draw, kinds: dict[str, str]) -> dict[str, str]:
    """Return roles for some nested columns: of tokens, tags and text at most one each."""
    roles: dict[str, str] = {}
    for name, kind in kinds.items():
        choice = NESTED_ROLES.get(kind.partition(" ")[0], ())
        free = [role for role in choice if role not in roles.values()]
        if _is_nested(kind) and free and draw.random() < 0.6:
            roles[name] = draw.choice(free)
    return roles


def _refusals(table: pa.Table, form: str) -> frozenset[str]:
    """Return the codes with which the table may be refused."""
    names = table.column_names
    folded = {name.lower() for name in names}
    is_bare = table.num_columns == 1 and table.column(0).null_count == table.num_rows
    is_one = form == "csv" and table.num_columns == 1
    facts = {
        "I008": any(test(_plain(f.type)) for test in UNSUPPORTED for f in table.schema),
        "I001": not table.num_rows and form == "jsonl",
        "I026": len(folded) < len(names) or bool(folded & {"_row", "_reasons"}),
        # a header with a number in it may be a row
        "I018": "__assay_row" in folded or (form == "csv" and any(map(_is_number, names))),
        "I027": any(not name.strip() for name in names),
        "I038": is_one and any(mark in names[0] for mark in "\t;|,"),  # one name or two
        # blank lines are no rows
        "I002": not table.num_rows or (is_bare and form != "parquet"),
    }
    return frozenset(f"ASSAY-{code}" for code, is_so in facts.items() if is_so)


def _bytes_as_label(table: pa.Table, roles: dict[str, str]) -> frozenset[str]:
    """Return the code of a label of bytes, unless they are texts."""
    kinds = [table.schema.field(name).type for name, role in roles.items() if role == "label"]
    is_refused = any(map(pa.types.is_fixed_size_binary, kinds))
    return frozenset({"ASSAY-C008"} if is_refused else ())


def _is_number(name: str) -> bool:
    return name.replace("e", "").isdecimal()


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


UNSUPPORTED = (
    pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary,
    pa.types.is_binary_view, pa.types.is_duration,
    lambda kind: "duration" in str(kind),  # in lists too
)  # fmt: skip


def as_text(value: Any) -> str:
    """Return a value as a text file holds it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _csv(table: pa.Table, draw: Draw) -> tuple[bytes, dict[str, list[Any]]]:
    text = io.StringIO(newline="")
    quoting = draw.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
    writer = csv.writer(text, quoting=quoting, lineterminator="\n")
    writer.writerow(table.column_names)
    cells = {name: [as_text(v) for v in table[name].to_pylist()] for name in table.column_names}
    writer.writerows(zip(*cells.values(), strict=True))
    return text.getvalue().encode(), cells


def _jsonl(table: pa.Table, draw: Draw) -> tuple[bytes, dict[str, list[Any]]]:
    leaves_out = draw.random() < 0.3
    cells = {name: [_plain_json(v) for v in table[name].to_pylist()] for name in table.column_names}
    lines = []
    for number in range(table.num_rows):
        row = {name: column[number] for name, column in cells.items()}
        if leaves_out and number:
            row = {name: value for name, value in row.items() if value is not None}
        lines.append(json.dumps(row, ensure_ascii=draw.random() < 0.5))
    return "\n".join([*lines, ""]).encode(), cells


def _plain_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain_json(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain_json(part) for name, part in value.items()}
    return value if value is None or isinstance(value, bool | int | float) else as_text(value)


def _parquet(table: pa.Table, draw: Draw) -> tuple[bytes, dict[str, list[Any]]]:
    sink = io.BytesIO()
    options: dict[str, Any] = {
        "compression": draw.choice(("none", "snappy", "zstd")),
        "write_page_checksum": draw.random() < 0.5,
        "store_schema": draw.random() < 0.8,
        "data_page_version": draw.choice(("1.0", "2.0")),
        "use_dictionary": draw.random() < 0.7,
    }
    size = draw.choice((7, 1000))
    empty = draw.random() < 0.1  # row groups without rows around the others
    with pq.ParquetWriter(sink, table.schema, **options) as writer:
        for part in (table.slice(0, 0), table, table.slice(0, 0)) if empty else (table,):
            writer.write_table(part, row_group_size=size)
    return sink.getvalue(), {}


FORMS = {"parquet": _parquet, "csv": _csv, "jsonl": _jsonl}
