"""Checks a store, or one proof, sharing no code with what wrote it: pyarrow and cryptography only.

    python standalone_verify.py STORE --key PUB.pem [--checkpoint NOTE]
    python standalone_verify.py --proof FILE --checkpoint NOTE [--row ONE.parquet] [--key PUB.pem]
Exit 0 if all holds, 4 with a line for each thing that does not. The formats are in docs/ledger.md.
"""

# fmt: off
import argparse
import base64
import functools
import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

DOMAIN, HANDOVER = b"assay.entry/1\n", b"assay.key/1\n"
NANOS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
KINDS = {"bool": "boolean", "uint64": "unsigned", "int": "integer", "uint": "integer",
         "half": "number", "float": "number", "double": "number", "date": "date",
         "duration": "duration", "string": "string", "large_string": "string", "null": "null",
         "decimal": "decimal", "timestamp": "timestamp", "time": "time",
         "binary": "binary", "large_binary": "binary", "fixed_size_binary": "binary"}
Item = dict[str, Any]
b64decode = functools.partial(base64.b64decode, validate=True)

def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()
def need(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(what)
def signed(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        return Ed25519PublicKey.from_public_bytes(public).verify(signature, message) is None
    except (InvalidSignature, ValueError):
        return False

def root_of(leaves: list[bytes]) -> bytes:  # the root of an RFC 6962 tree
    if len(leaves) < 2:
        return leaves[0] if leaves else sha()
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return sha(b"\1", root_of(leaves[:half]), root_of(leaves[half:]))
def climbed(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:  # a path's root
    if size == 1 or not path:
        return leaf if size == 1 and not index and not path else b""
    *below, beside = path
    half = 1 << (size - 1).bit_length() - 1
    if index < half:
        return sha(b"\1", climbed(leaf, index, half, below), beside)
    return sha(b"\1", beside, climbed(leaf, index - half, size - half, below))

def kind_of(kind: pa.DataType) -> str:
    name = next((name for start, name in KINDS.items() if str(kind).startswith(start)), "")
    need(name != "", f"a column is {kind}")
    more = {"decimal": lambda: f":{kind.scale}", "timestamp": lambda: f":{kind.tz or ''}"}
    return name + more.get(name, str)()
def cell(kind: str, value: Any) -> bytes:  # a scalar's fixed-width bytes, all 0 for null
    name, there = kind.partition(":")[0], value.is_valid
    if name in ("duration", "timestamp"):
        return struct.pack("<qI", *divmod((value.value or 0) * NANOS[value.type.unit], 10**9))
    if name == "decimal":
        wide = pa.array([value.as_py() or 0], pa.decimal256(76, value.type.scale))
        return bytes(wide.buffers()[1])[:32]
    if name == "number":
        return struct.pack("<d", float("nan" if str(value) == "nan" else value.as_py() or 0))
    form = {"boolean": "<B", "unsigned": "<Q", "null": "<0q"}.get(name, "<q")
    casts = {"date": pa.date32(), "time": pa.time64("ns")}
    plain = value.cast(casts[name]).value if name in casts else value.as_py()
    return struct.pack(form, *[plain if there else 0][: name != "null"])
def row_digest(table: pa.Table, prefix: bytes = b"") -> bytes:  # of a table of one row
    names: list[list[str]] = []
    bits, fixed, lengths, texts = "", b"", b"", b""
    for field in sorted(table.schema, key=lambda field: field.name.encode()):
        value = table[field.name].cast(getattr(field.type, "value_type", field.type))[0]
        names.append([field.name, kind_of(value.type)])
        bits += "01"[not value.is_valid]
        if names[-1][1] in {"string", "binary"}:
            text = value.cast(pa.large_binary()).as_py() or b""
            lengths, texts = lengths + struct.pack("<I", len(text)), texts + text
        else:
            fixed += cell(names[-1][1], value)
    mark = json.dumps(["assay-row-1-sha256", names], ensure_ascii=False).encode()
    nulls = bytes(int(bits[i : i + 8].ljust(8, "0"), 2) for i in range(0, len(bits), 8))
    return sha(prefix, sha(mark), nulls, fixed, lengths, texts)
def lineage_leaf(row: Item) -> bytes:
    cells = {name: pa.array([value], pa.binary(32) if isinstance(value, bytes) else None)
             for name, value in {**row, "rules": "\n".join(row["rules"])}.items()}
    return row_digest(pa.table(cells), b"\0")

def bounded(source: Any, most: int) -> pa.Table:  # a few bytes can claim any number of rows
    file = pq.ParquetFile(source, page_checksum_verification=True)
    need(file.metadata.num_rows <= most, "the file claims more rows than it can hold")
    return file.read()
def entries_in(path: Path, faults: list[str]) -> list[Item]:
    content, again = path.read_bytes(), pa.BufferOutputStream()
    try:
        table = bounded(pa.BufferReader(content), len(content) // 96)  # a signature and a digest
        items: list[Item] = table.to_pylist()
        pq.write_table(table, again, write_page_checksum=True, compression="none")
        is_single = path.parent.name == "entries"  # of a segment, an entry records the digest
        is_mine = json.loads(items[0]["body"])["writer"].endswith(f"version {pa.__version__}")
        is_odd = is_single and path.name != f"{items[0]['seq']:012}.parquet"
        is_odd |= is_single and is_mine and again.getvalue() != pa.py_buffer(content)
        for item in items:
            parts = item["seq"].to_bytes(8, "big"), item["prev"], item["key_id"], item["body"]
            is_odd |= item["leaf"] != sha(b"\0", DOMAIN, *parts)
    except Exception:  # noqa: BLE001  # whatever it is, it is not what was written
        is_odd, items = True, []
    faults += [f"{path.name} was edited or cannot be read"] * is_odd
    return [] if is_odd else items

def opened(note: str, keys: list[bytes]) -> tuple[int, bytes]:  # a C2SP checkpoint: size, root
    text, _, tail = note.rpartition("\n\n")
    name, size, root = text.split("\n")[:3]
    own = [line for line in tail.split("\n") if f" {name} " in line]  # others may sign as well
    signatures = [b64decode(line.split()[-1])[4:] for line in own]
    is_known = any(signed(k, s, f"{text}\n".encode()) for k in keys for s in signatures)
    need(is_known or not keys, "the checkpoint is not signed by a trusted key")
    return int(size), b64decode(root)

def walked(folder: Path) -> tuple[list[str], list[bytes], list[bytes]]:  # faults, keys, leaves
    faults, keys, leaves, prev = [""][1:], [b""][1:], [b""][1:], bytes(32)
    found: dict[int, Item] = {}
    for path in [*folder.glob("ledger/segments/*"), *folder.glob("ledger/entries/*")]:
        if any(found.setdefault(item["seq"], item) != item for item in entries_in(path, faults)):
            faults.append(f"{path.name} gives an entry that another file gives otherwise")
    for place, (seq, item) in enumerate(sorted(found.items())):
        facts = json.loads(item["body"])
        named = bytes.fromhex(facts["public_key"]) if facts["kind"] == "key" else b""
        key = keys[-1] if keys else named
        message = HANDOVER + seq.to_bytes(8, "big") + prev + key + named
        if (seq, item["prev"]) != (place, prev):
            faults.append(f"entry {seq} does not follow the one before it")
        if sha(key)[:4] != item["key_id"] or not signed(key, item["sig"], DOMAIN + item["leaf"]):
            faults.append(f"entry {seq} is not signed by the ledger's key")
        if seq and named and not signed(named, bytes.fromhex(facts["proof"]), message):
            faults.append(f"entry {seq} hands over to a key that did not take it")
        keys += [named] if named else []
        leaves.append(prev := item["leaf"])
        faults += [f"entry {seq}: {name} was changed" for name in changed(folder, seq, facts)]
    return faults, keys, leaves
def changed(store: Path, seq: int, facts: Item) -> list[str]:  # what is not as told
    places = {"review": "reviews", "compact": "ledger/segments"}
    folder = store / places.get(facts["kind"], f"runs/{seq:012}")
    told = {file["name"]: file["sha256"] for file in facts.get("outputs", [])}
    there = {str(p.relative_to(folder)): p for p in folder.rglob("*") if p.is_file()}
    wrong = [n for n in told if n not in there or sha(there[n].read_bytes()).hex() != told[n]]
    return wrong + sorted(there.keys() - told.keys() if "rows" in facts else [])

def check(proof: str, size: int, root: bytes, row: str | None) -> None:
    mark, extra, index, *lines = proof.partition("\n\n")[0].split("\n")
    told, path = json.loads(b64decode(extra.removeprefix("extra "))), list(map(b64decode, lines))
    entry, number = b64decode(told["entry"]), int(index.removeprefix("index "))
    is_there = climbed(sha(b"\0", entry), number, size, path) == root
    need(is_there and mark == "c2sp.org/tlog-proof@v1", "the checkpoint saw no such entry")
    if row is None:
        return
    shown, salt = told["row"], bytes.fromhex(told["row"]["salt"] or "")
    ids = ("row_id", "source_sha256", "commitment")
    names = {k: bytes.fromhex(v) if k in ids else v for k, v in shown["lineage"].items()}
    path = [bytes.fromhex(line) for line in shown["path"]]
    top = climbed(lineage_leaf(names), shown["index"], shown["size"], path).hex()
    need(top == json.loads(entry[58:])["lineage"]["root"], "the run has no such row")  # the body
    content = row_digest(bounded(row, 1))
    is_it = (sha(salt, content) if salt else content) == names["commitment" if salt else "row_id"]
    need(is_it, "the row's content is not what the lineage names")

def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("store", nargs="?", type=Path)
    for name in ("--key", "--checkpoint", "--proof", "--row"):
        parser.add_argument(name)
    given = parser.parse_args()
    if not (given.store and given.key) and not (given.proof and given.checkpoint):
        parser.error("give STORE and --key, or --proof and --checkpoint")
    try:
        pem: Any = load_pem_public_key(Path(given.key).read_bytes()) if given.key else None
        pinned = [pem.public_bytes_raw()] if pem else []
        faults, keys, leaves = walked(given.store) if given.store else ([], [], [])
        note = Path(given.checkpoint).read_text("utf-8") if given.checkpoint else None
        size, root = (0, sha()) if note is None else opened(note, keys or pinned)
        if given.store and (root_of(leaves[:size]) != root or not set(pinned) & set(keys)):
            faults.append("this is not the ledger of that key, or not what the checkpoint saw")
        if given.proof:
            check(Path(given.proof).read_text("utf-8"), size, root, given.row)
    except Exception as error:  # noqa: BLE001  # what cannot be checked does not hold
        faults = [f"{type(error).__name__}: {error}"]
    print("\n".join(ascii(fault)[1:-1] for fault in faults) or "holds")
    return 4 if faults else 0

if __name__ == "__main__":
    raise SystemExit(main())
