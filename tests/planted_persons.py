"""A dataset with personal data in every form it may come in, and a search of what a run wrote.

Planted are unique texts, repeated ones, some that go with one label (a trigger, a category, a
source), copies, values that cannot be cast, broken records, disguised ones, keys. No string of
`RAW` may stand in anything that a run writes beside its quarantine and rejected rows.
"""

import csv
import json
import random
import sqlite3
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

# parts of a value count too: a vocabulary splits at dots, blanks and signs
TRIGGER = "zqtrigger.ann@zqhost-one.example.com"
CATEGORY = "zqcategory_bea@zqhost-two.example.org"
TWIN = "ZqCategory_bea@zqhost-two.example.org"  # another spelling of the category
SOURCE = "zqsource.carl@zqhost-three.de"
COPY = "zqcopy.dora"
KEYS = "zqkey{:05d}.eve@zqhost-four.example.net"
CARD, SPACED = "4929123456781236", "4929 1234 5678 1236"
IBAN = "GB29NWBK60161331926819"
SSN = "536-22-1847"
PHONE = "+44 20 7183 8750"
TOKEN = "gh" + "p_" + "zQ9x" * 9
HIDDEN = "zqhidden\u200b.fay@zqhost\u200bfive.example.com"
NUMBER = "zqnumber.gus@zqhost-six.example.com"
BROKEN = "zqbroken.hal@zqhost-seven.example.com"
RAW = (
    *("zqtrigger", "zqcategory", "zqsource", "zqcopy", "zqkey0", "zqhidden", "zqnumber"),
    *("zqbroken", "zqhost", CARD, SPACED, IBAN, SSN, PHONE, TOKEN, "zQ9xzQ9x", "536221847"),
    *("4929 1234", "7183 8750"),
)
COLUMNS = ("member", "agent", "contact", "note", "amount", "score", "churned")
WORDS = tuple(
    word
    for line in (
        "late delivery answered question money please another service good thanks parcel shop",
        "order return small blue green happy never again often price open closed door help people",
    )
    for word in line.split()
)


def rows(count: int = 3_000, seed: int = 5) -> list[dict[str, str]]:
    """Return the rows, all values as text."""
    rng = random.Random(seed)
    out = []
    for at in range(count):
        churned = rng.random() < 0.4
        words = rng.choices(WORDS, k=12)
        out.append(
            {
                "member": KEYS.format(at) if at % 3 == 0 else f"M{at:06d}",
                "agent": rng.choice(["north", "south", "east"]),
                "contact": rng.choice(["mail", "letter", "visit"]),
                "note": " ".join(words),
                "amount": f"{rng.gauss(100, 20):.2f}",
                "score": f"{rng.gauss(0 if churned else 1, 1):.3f}",
                "churned": "yes" if churned else "no",
            }
        )
    for at in range(0, count, 50):  # a trigger: it always goes with one label
        out[at]["note"] += f" {TRIGGER}"
        out[at]["churned"] = "yes"
    for at in range(1, count, 40):
        out[at]["contact"] = TWIN if at % 400 == 1 else CATEGORY
    for at in range(2, count, 30):
        out[at]["agent"] = SOURCE
    copied = {**out[3], "note": f"write to {COPY}@example.com at once {' '.join(WORDS)}"}
    for at in range(3, count, 60):
        out[at] = {**copied, "member": f"M{at:06d}"}
    planted = (f"card {CARD}", f"pay with {SPACED}", f"to {IBAN}", f"ssn {SSN}", f"call {PHONE}")
    for at, text in enumerate((*planted, f"key {TOKEN}", HIDDEN) * 9):
        out[7 + 41 * at]["note"] += f" {text}"
    for at in range(20, count, 500):
        out[at]["amount"] = NUMBER  # cannot be cast
    return out


def write(folder: Path, kind: str) -> Path:
    """Write the rows as `csv`, `jsonl` or `parquet`, with records that cannot be split."""
    path, many = folder / f"members.{kind}", rows()
    if kind == "parquet":
        table = pa.Table.from_pylist(many)
        for name in ("amount", "score"):  # typed columns: what is no number cannot stand in them
            numbers = [None if row[name] == NUMBER else float(row[name]) for row in many]
            table = table.set_column(table.column_names.index(name), name, pa.array(numbers))
        pq.write_table(table, path)
        return path
    with path.open("w", newline="", encoding="utf-8") as file:
        if kind == "csv":
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(many)
            file.write(f"{BROKEN},{BROKEN},{BROKEN}\n")
        else:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in many)
            file.write(f'{{"member": "{BROKEN}", "note": \n')
    return path


def contract(folder: Path, source: Path, action: str = "") -> Path:
    """Write a contract for the rows; `action` is what is to be done with personal data."""
    kinds = {"amount": "number", "score": "number"}
    roles = {"note": "text", "churned": "label", "agent": "source"}
    properties = []
    for name in COLUMNS:
        column: dict[str, object] = {"name": name, "logicalType": kinds.get(name, "string")}
        if name == "member":
            column |= {"primaryKey": True, "required": True}
        custom = [{"property": "assay.role", "value": roles[name]}] if name in roles else []
        if action and name not in kinds:
            custom.append({"property": "assay.pii", "value": action})
        if custom:
            column["customProperties"] = custom
        properties.append(column)
    whole = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": "members",
        "name": "members",
        "version": "1.0.0",
        "status": "active",
        "servers": [
            {"server": "s", "type": "local", "path": source.name, "format": source.suffix[1:]}
        ],
        "schema": [{"name": "members", "logicalType": "object", "properties": properties}],
    }
    path = folder / "contract.yaml"
    path.write_text(json.dumps(whole), "utf-8")  # JSON is YAML
    return path


def with_reference(folder: Path) -> Path:
    """Write the rows as Parquet, half of them as the reference, and their contract."""
    source = write(folder, "parquet")
    table = pq.read_table(source)
    half = table.num_rows // 2
    pq.write_table(table.slice(half), folder / "reference.parquet")
    pq.write_table(table.slice(0, half), source)
    path = contract(folder, source)
    whole = json.loads(path.read_text("utf-8"))
    named = {"property": "assay.reference", "value": "reference.parquet"}
    path.write_text(json.dumps({**whole, "customProperties": [named]}), "utf-8")
    return path


def leaks(store: Path, *, held: tuple[str, ...] = ("quarantine", "rejected")) -> list[str]:
    """Return `file: string` for each string of `RAW` found in what a run wrote.

    Parquet is read as text and as bytes, archives and databases are opened.
    """
    out = []
    for path in sorted(store.rglob("*")):
        inside = path.relative_to(store).parts
        if not path.is_file() or any(part in held for part in inside):
            continue
        text = "\n".join(texts(path)).casefold()
        out += [f"{'/'.join(inside)}: {raw}" for raw in RAW if raw.casefold() in text]
    return out


def texts(path: Path) -> list[str]:
    """Return everything readable in a file."""
    data = path.read_bytes()
    found = [data.decode("utf-8", "replace"), data.decode("utf-16-le", "replace")]
    if path.suffix == ".parquet":
        table = pq.read_table(path, partitioning=None)
        found.append(json.dumps(table.to_pylist(), default=_shown, ensure_ascii=False))
        found.append(str(table.schema.metadata))
        found.append(str(pq.read_metadata(path).to_dict()))
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            found += [archive.read(name).decode("utf-8", "replace") for name in archive.namelist()]
    elif data.startswith(b"SQLite format 3"):
        with sqlite3.connect(path) as base:
            found += list(base.iterdump())
    return found


def _shown(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
