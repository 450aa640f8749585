"""Verifies a store, or one proof, without any code of its writer: only pyarrow and cryptography.

    python standalone_verify.py STORE --key PUB.pem [--checkpoint NOTE]
    python standalone_verify.py --proof FILE --checkpoint NOTE [--row ONE.parquet] [--key PUB.pem]
Exit code 0 if everything holds; 4 with one line per fault. docs/ledger.md describes the formats.
The store is not trusted: symlinks in it are not followed, pipes never block, reads are bounded.
"""

# fmt: off
import argparse
import base64
import functools
import hashlib
import json
import os
import re
import stat
import struct
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

DOMAIN, ROTATION = b"assay.entry/1\n", b"assay.key/1\n"
COLUMNS = ["seq", "prev", "key_id", "body", "leaf", "sig"]  # of an entry
LEAST_ENTRY = 96  # incompressible bytes of an entry: its signature and its digest
LARGEST = {"ledger/entries": 64 << 20, "ledger/segments": 1 << 30}  # limits in bytes, by folder
FOLDERS = (*LARGEST, "ledger/tmp", "runs", "reviews", "reference", "staging", "resume")
KINDS = {"key", "run", "review", "release", "access", "compact", "anchor"}  # of entries
RUNS = {"run", "release"}  # kinds with their own folder of files
FILES_IN = {"review": "reviews", "compact": "ledger/segments"}  # where other kinds have files
UNSWEPT = {"key", "compact"}  # kinds written without removing what a dead run left at their number
MAY_BE_EMPTY = {"clean", "quarantine", "rejected", "findings", "lineage", "models"}
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
FOLDER = FILE | os.O_DIRECTORY
NANOS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
CELLS = {"bool": "boolean", "uint64": "unsigned", "int": "integer", "uint": "integer",
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

# Files: opened part by part below the store's folder, so that no symlink is followed.
def opened_below(store: Path, name: str, flags: int) -> int:
    """Open a file or folder of the store; returns the descriptor."""
    parts = name.split("/") if name else []
    need(not {"", ".", ".."} & set(parts) and "\0" not in name, "a name leads out of the store")
    held = os.open(store, FOLDER)
    for place, part in enumerate(parts, 1):
        outer = held
        try:
            held = os.open(part, flags if place == len(parts) else FOLDER, dir_fd=outer)
        finally:
            os.close(outer)
    return held

def blocks(store: Path, name: str, most: int) -> Iterator[bytes]:
    """Yield the content of a regular file of at most `most` bytes in blocks."""
    held = opened_below(store, name, FILE)
    try:
        found = os.fstat(held)
        need(stat.S_ISREG(found.st_mode), "is not a regular file")
        need(found.st_size <= most, f"is larger than {most} bytes")
        while most > 0 and (block := os.read(held, min(most, 1 << 20))):
            most -= len(block)  # bounds the read even if the file is growing
            yield block
    finally:
        os.close(held)

def listed(store: Path, folder: str) -> dict[str, int]:
    """Return name and mode of each item in a folder; none if the folder does not exist."""
    try:
        held = opened_below(store, folder, FOLDER)
    except FileNotFoundError:
        return {}
    try:
        names = sorted(os.listdir(held))  # noqa: PTH208  by descriptor
        return {name: os.lstat(name, dir_fd=held).st_mode for name in names}
    finally:
        os.close(held)

def all_below(store: Path, folder: str, depth: int = 32) -> Iterator[tuple[str, int]]:
    """Yield path, relative to a folder, and mode of each item below it."""
    for name, mode in listed(store, folder).items():
        yield name, mode
        if stat.S_ISDIR(mode):
            need(depth > 0, f"{name} is nested too deeply")
            for inner, kind in all_below(store, f"{folder}/{name}", depth - 1):
                yield f"{name}/{inner}", kind

def irregular_folders(store: Path) -> Iterator[str]:
    """Yield a fault for each folder of the store that is a symlink or not a folder."""
    for name in ("", *FOLDERS):
        try:
            os.close(opened_below(store, name, FOLDER))
        except OSError as error:
            if name == "" or not isinstance(error, FileNotFoundError):
                yield f"{name or 'the store'} is not a folder ({os.strerror(error.errno or 0)})"

# The hash tree of RFC 6962, and the digest of a row.
def root_of(leaves: list[bytes]) -> bytes:
    """Return the root of a tree of leaf hashes."""
    if len(leaves) < 2:
        return leaves[0] if leaves else sha()
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return sha(b"\1", root_of(leaves[:half]), root_of(leaves[half:]))

def climbed(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """Return the root that a path of hashes leads to from a leaf; empty if it is no such path."""
    if size == 1 or not path:
        return leaf if size == 1 and not index and not path else b""
    *below, sibling = path
    half = 1 << (size - 1).bit_length() - 1
    return (sha(b"\1", climbed(leaf, index, half, below), sibling) if index < half else
            sha(b"\1", sibling, climbed(leaf, index - half, size - half, below)))

def kind_of(kind: pa.DataType) -> Any:
    """Return what a column's type enters the digest as: a name, of nested ones a list."""
    name, inner = str(kind), getattr(kind, "value_type", None)  # of a list or dictionary
    if name.startswith("struct<"):
        return ["struct", sorted([f.name, kind_of(f.type)] for f in kind)]
    if name.startswith("map<"):
        inner = pa.struct([("key", kind.key_type), ("value", kind.item_type)])
    if inner is not None:
        return kind_of(inner) if name[0] == "d" else ["list", kind_of(inner)]
    found = next((what for start, what in CELLS.items() if name.startswith(start)), "")
    need(found != "", f"a column has the unsupported type {kind}")
    more = {"decimal": lambda: f":{kind.scale}", "timestamp": lambda: f":{kind.tz or ''}"}
    return found + more.get(found, str)()

def cell(kind: str, value: Any) -> bytes:
    """Return the fixed-width bytes of a scalar; null is all zeros."""
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

def nested(value: Any, kind: Any) -> bytes:
    """Return a text, or a value in a nested cell: null is a byte 0, all others begin with 1."""
    if not value.is_valid:
        return b"\0"
    if kind[0] == "struct":
        return b"\1" + b"".join(nested(value[name], inner) for name, inner in kind[1])
    if kind[0] == "list":
        items = [nested(item, kind[1]) for item in value.values]
        return b"\1" + struct.pack("<I", len(items)) + b"".join(items)
    value = value.value if isinstance(value, pa.DictionaryScalar) else value
    if kind not in {"string", "binary"}:
        return b"\1" + cell(kind, value)
    return b"\1%b%b" % (struct.pack("<I", len(text := value.cast(pa.large_binary()).as_py())), text)

def row_digest(table: pa.Table, prefix: bytes = b"") -> bytes:
    """Return the digest of the only row of a table."""
    names = sorted([f.name, kind_of(f.type)] for f in table.schema)
    bits, fixed, lengths, texts = "", b"", b"", b""
    for name, kind in names:
        value = table[name][0]
        bits += "01"[not value.is_valid]
        if isinstance(kind, list) or kind in {"string", "binary"}:
            text = nested(value, kind)[0 if isinstance(kind, list) else 5 :] * value.is_valid
            lengths, texts = lengths + struct.pack("<I", len(text)), texts + text
        else:
            fixed += cell(kind, table[name].cast(getattr(value.type, "value_type", value.type))[0])
    mark = json.dumps(["assay-row-1-sha256", names], ensure_ascii=False).encode()
    nulls = bytes(int(bits[i : i + 8].ljust(8, "0"), 2) for i in range(0, len(bits), 8))
    return sha(prefix, sha(mark), nulls, fixed, lengths, texts)

def lineage_leaf(row: Item) -> bytes:
    """Return the leaf hash of a lineage row."""
    cells = {name: pa.array([value], pa.binary(32) if isinstance(value, bytes) else None)
             for name, value in {**row, "rules": "\n".join(row["rules"])}.items()}
    return row_digest(pa.table(cells), b"\0")

# The ledger: entries in their own files and in segments, chained and signed.
def table_in(source: Any, most: int) -> tuple[pa.Table, str]:
    """Return a Parquet file's table of at most `most` rows, and its writer."""
    file = pq.ParquetFile(source, page_checksum_verification=True)
    need(file.metadata.num_rows <= most, "claims more rows than the file can contain")
    return file.read(), str(file.metadata.created_by)

def entries_of(content: bytes, first: int, last: int, is_single: bool) -> list[Item]:
    """Return the entries `first` to `last` in a file, each checked against its digest."""
    table, writer = table_in(pa.BufferReader(content), len(content) // LEAST_ENTRY)
    need(table.column_names == COLUMNS, "does not have an entry's columns")
    items: list[Item] = table.to_pylist()
    is_dense = all(item["seq"] == number for number, item in enumerate(items, first))
    need(is_dense and len(items) == last - first + 1, "contains other entries than its name says")
    for item in items:
        parts = item["seq"].to_bytes(8, "big"), item["prev"], item["key_id"], item["body"]
        need(item["leaf"] == sha(b"\0", DOMAIN, *parts), f"entry {item['seq']} was edited")
    if is_single:  # the digest of a segment is recorded in an entry
        need(writer == json.loads(items[0]["body"])["writer"], "was rewritten by another program")
        again, is_mine = pa.BufferOutputStream(), writer.endswith(f"version {pa.__version__}")
        pq.write_table(table, again, write_page_checksum=True, compression="none")
        is_same = again.getvalue() == pa.py_buffer(content)
        need(is_same or not is_mine, "contains bytes that its writer did not write")
    return items

def files_of(store: Path, folder: str, faults: list[str]) -> dict[str, list[Item]]:
    """Return the entries in each file of a folder of the ledger."""
    is_single = folder == "ledger/entries"
    found: dict[str, list[Item]] = {}
    for name in listed(store, folder):
        try:
            match = re.fullmatch(r"([0-9]{12})(?:-([0-9]{12}))?\.parquet", name)
            first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
            is_ours = match is not None and is_single == (match[2] is None) and first <= last
            need(is_ours, "does not belong to the ledger")
            content = b"".join(blocks(store, f"{folder}/{name}", LARGEST[folder]))
            found[name] = entries_of(content, first, last, is_single)
        except Exception as error:  # noqa: BLE001  # any failure means the file is not as written
            faults.append(f"{folder}/{name}: {error}")
    return found

def chained(items: list[Item], faults: list[str]) -> tuple[list[bytes], dict[int, Item]]:
    """Follow the chain; returns the ledger's keys, and the facts of each entry by number."""
    keys, every, prev = [b""][1:], dict[int, Item](), bytes(32)
    for place, item in enumerate(items):
        seq, facts = item["seq"], json.loads(item["body"])
        need(facts["kind"] in KINDS, f"entry {seq} has an unknown kind")
        named = bytes.fromhex(facts["public_key"]) if facts["kind"] == "key" else b""
        key = keys[-1] if keys else named
        message = ROTATION + seq.to_bytes(8, "big") + prev + key + named
        if (seq, item["prev"]) != (place, prev):
            faults.append(f"entry {seq} does not follow the one before it")
        if sha(key)[:4] != item["key_id"] or not signed(key, item["sig"], DOMAIN + item["leaf"]):
            faults.append(f"entry {seq} is not signed by the ledger's key")
        if seq and named and not signed(named, bytes.fromhex(facts["proof"]), message):
            faults.append(f"entry {seq}: key rotation is not countersigned by the new key")
        keys += [named] if named else []
        every[seq], prev = facts, item["leaf"]
    return keys, every

def unrecorded_segments(alone: set[int], segments: Item, facts: dict[int, Item]) -> Iterator[str]:
    """Yield each segment that no entry records, unless a compaction died before its entry."""
    compacts = [body for body in facts.values() if body["kind"] == "compact"]
    recorded = {file["name"] for body in compacts for file in body["outputs"]}
    for name in sorted(segments.keys() - recorded):
        if not alone.issuperset(item["seq"] for item in segments[name]):
            yield f"ledger/segments/{name} is not recorded by any entry"

def walked(store: Path) -> tuple[list[str], list[bytes], list[bytes]]:
    """Check a store; returns its faults, the ledger's keys, and the entries' leaf hashes."""
    if faults := list(irregular_folders(store)):
        return faults, [], []  # files behind a symlink are not the store's
    singles, segments = (files_of(store, folder, faults) for folder in LARGEST)
    found: dict[int, Item] = {}
    for name, items in [*segments.items(), *singles.items()]:
        if any(found.setdefault(item["seq"], item) != item for item in items):
            faults.append(f"{name} contains an entry that differs in another file")
    keys, facts = chained([found[seq] for seq in sorted(found)], faults)
    alone = {item["seq"] for items in singles.values() for item in items}
    faults += unrecorded_segments(alone, segments, facts)
    for seq in facts:
        faults += [f"entry {seq}: {what}" for what in differences(store, seq, facts)]
    faults += unlisted(store, "runs", RUNS, facts)
    faults += unlisted(store, "reviews", {"review"}, facts)
    return faults, keys, [found[seq]["leaf"] for seq in sorted(found)]

# Files: exactly the regular files that entries record, and no others.
def differences(store: Path, seq: int, facts: dict[int, Item]) -> Iterator[str]:
    """Yield each difference between an entry's record of its files and the files."""
    body = facts[seq]
    kind, outputs = body["kind"], body.get("outputs", [])
    if kind in RUNS or kind in FILES_IN:
        yield from changed(store, FILES_IN.get(kind, f"runs/{seq:012}"), outputs)
    if kind in RUNS:
        yield from unrecorded(store, f"runs/{seq:012}", outputs)
    if kind == "anchor":
        base = facts.get(body["base"], {}).get("outputs", [])
        clean = sorted((f["name"], f["sha256"]) for f in base if f["name"].startswith("clean/"))
        if clean != [(file["name"], file["sha256"]) for file in body["files"]]:
            yield f"run {body['base']} did not record the files that this entry anchors"

def changed(store: Path, folder: str, outputs: list[Item]) -> Iterator[str]:
    """Yield each recorded file that is missing, not a regular file, or changed."""
    for file in outputs:
        total, name = hashlib.sha256(), f"{folder}/{file['name']}"
        try:
            for block in blocks(store, name, file["size"]):
                total.update(block)
            need(total.hexdigest() == file["sha256"], "does not match its recorded digest")
        except (OSError, ValueError) as error:
            yield f"{name}: {error}"

def unrecorded(store: Path, folder: str, outputs: list[Item]) -> Iterator[str]:
    """Yield each item in a run's folder that is neither a recorded file nor a folder of one."""
    recorded = {file["name"] for file in outputs}
    ways = {str(way) for name in recorded for way in PurePosixPath(name).parents}
    try:
        found = dict(all_below(store, folder))
    except (OSError, ValueError) as error:
        yield f"{folder}: {error}"
        return
    filled = {str(PurePosixPath(name).parent) for name in found}
    for name, mode in found.items():
        is_file = name in recorded and stat.S_ISREG(mode)
        is_way = name in ways or (name in MAY_BE_EMPTY and name not in filled)
        if not (is_way if stat.S_ISDIR(mode) else is_file):
            yield f"{folder}/{name} was not recorded"

def unlisted(store: Path, folder: str, kinds: set[str], facts: dict[int, Item]) -> Iterator[str]:
    """Yield each item in `runs` or `reviews` without an entry.

    A dead run may have left an item with the next number, or with that of an UNSWEPT entry.
    """
    is_right, ending = (stat.S_ISDIR, "") if folder == "runs" else (stat.S_ISREG, r"\.parquet")
    for name, mode in listed(store, folder).items():
        match = re.fullmatch(f"([0-9]{{12}}){ending}", name)
        number = int(match[1]) if match and is_right(mode) else -1
        is_left = bool(facts) and number == max(facts) + 1
        kind = facts[number]["kind"] if number in facts else ""
        if not is_left and kind not in kinds | UNSWEPT:
            yield f"{folder}/{name} has no entry"

# Checkpoints and proofs.
def opened(note: str, keys: list[bytes]) -> tuple[int, bytes]:
    """Return size and root of a C2SP checkpoint, which one of the keys must have signed."""
    text, _, tail = note.rpartition("\n\n")
    name, size, root = text.split("\n")[:3]
    own = [line for line in tail.split("\n") if f" {name} " in line]  # witnesses may sign as well
    signatures = [b64decode(line.split()[-1])[4:] for line in own]
    is_known = any(signed(k, s, f"{text}\n".encode()) for k in keys for s in signatures)
    need(is_known or not keys, "the checkpoint is not signed by a trusted key")
    return int(size), b64decode(root)

def check(proof: str, size: int, root: bytes, row: str | None) -> None:
    """Check that a checkpoint covers an entry, and with `row` that the entry's run has that row."""
    mark, extra, index, *lines = proof.partition("\n\n")[0].split("\n")
    facts, path = json.loads(b64decode(extra.removeprefix("extra "))), list(map(b64decode, lines))
    entry, number = b64decode(facts["entry"]), int(index.removeprefix("index "))
    is_there = climbed(sha(b"\0", entry), number, size, path) == root
    need(is_there and mark == "c2sp.org/tlog-proof@v1", "the checkpoint does not cover the entry")
    if row is None:
        return
    shown, salt = facts["row"], bytes.fromhex(facts["row"]["salt"] or "")
    ids = ("row_id", "source_sha256", "commitment")
    names = {k: bytes.fromhex(v) if k in ids else v for k, v in shown["lineage"].items()}
    path = [bytes.fromhex(line) for line in shown["path"]]
    top = climbed(lineage_leaf(names), shown["index"], shown["size"], path).hex()
    body = entry[len(DOMAIN) + 8 + 32 + 4 :]  # after seq, prev and key_id
    need(top == json.loads(body)["lineage"]["root"], "the run does not have this row")
    content = row_digest(table_in(row, 1)[0])
    is_it = (sha(salt, content) if salt else content) == names["commitment" if salt else "row_id"]
    need(is_it, "the row's content does not match the lineage")

def main() -> int:
    """Verify what the command line names; returns the exit code."""
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
            faults.append("the ledger does not match the given key or the checkpoint")
        if given.proof:
            check(Path(given.proof).read_text("utf-8"), size, root, given.row)
    except Exception as error:  # noqa: BLE001  # a store that cannot be checked does not hold
        faults = [f"{type(error).__name__}: {error}"]
    print("\n".join(ascii(fault)[1:-1] for fault in faults) or "holds")
    return 4 if faults else 0

if __name__ == "__main__":
    raise SystemExit(main())
