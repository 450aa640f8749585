"""What reads a ledger: entries, segments, facts, keys, checkpoints, proofs; both verifiers.

Both read the same bytes, and neither may hold a ledger to be whole in which anything but
the bytes that its writer put there stands.
"""

import base64
import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fuzzing import parquet_mutation
from fuzzing.target import HEAD, Target, require

from pipelines import trust
from provenance import (
    compaction,
    digest,
    entry,
    keychain,
    lineage,
    merkle,
    note,
    proof,
    sign,
    standalone_verify,
    verify,
)
from provenance.entry import Entry
from provenance.errors import AssayError
from provenance.ledger import Ledger
from provenance.note import Checkpoint
from provenance.sign import Signer
from provenance.snapshot import Source

TIME = "2026-01-01T00:00:00+00:00"
KEYS = [Signer(Ed25519PrivateKey.from_private_bytes(bytes((n,)) * 32)) for n in (1, 2)]
STRANGER = Signer(Ed25519PrivateKey.from_private_bytes(bytes((3,)) * 32))
NAMES = (
    *("ledger/entries/{:012}.parquet", "ledger/segments/000000000000-{:012}.parquet"),
    *("ledger/entries/{}.parquet", "ledger/segments/{}", "ledger/entries/{:012}.PARQUET"),
)
WORDS = (
    *(
        b'"kind"',
        b'"key"',
        b'"run"',
        b'"compact"',
        b'"review"',
        b'"outputs"',
        b'"sha256"',
        b'"name"',
    ),
    *(b'"time"', b'"public_key"', b'"proof"', b'"previous_key"', b'"writer"', b'"rows"', b"null"),
    *(
        b"[]",
        b"{}",
        b"1e999",
        b"NaN",
        b"9" * 5000,
        b"[" * 3000,
        b'"\\ud800"',
        b"\xff",
        b"\0",
        b"-1",
    ),
    *(b'"' + KEYS[1].verifier.public.hex().encode() + b'"', b'"00"', b"true", b'"../../x"', b"0.5"),
)
NOTE_WORDS = (
    *(b"\n\n", b"\n", "\u2014 ".encode(), b"+", b" ", b"0", b"=", b"-1", b"\r\n", b"assay.ledger/"),
    *(b"extra ", b"index ", b"c2sp.org/tlog-proof@v1\n", b"9" * 5000, b"\xff", b"\xc2\xa0"),
)


def targets() -> list[Target]:
    """Return a target for each thing that is read back."""
    changed = parquet_mutation.changed
    return [
        Target("ledger", _store_seeds, _store, change=changed, has_head=True, share=2),
        Target("facts", _fact_seeds, _facts, WORDS, has_head=True),
        Target("note", _note_seeds, _note, NOTE_WORDS, share=0.5),
        Target("proof", _proof_seeds, _proof, (*NOTE_WORDS, *WORDS), has_head=True),
        Target("proven row", _row_seeds, _row, change=changed),
        Target("keys", _key_seeds, _keys, (b"-----BEGIN PRIVATE KEY-----", b"\n", b"="), share=0.3),
    ]  # fmt: skip


def _grown(folder: Path, *, is_compacted: bool) -> Ledger:
    """Return a ledger of two runs, a review, another key, a compaction and one more run."""
    ledger = Ledger(folder / "ledger")
    first = keychain.first_facts(KEYS[0], TIME)

    def append(**facts: Any) -> None:
        holder = KEYS[1] if facts.get("late") else KEYS[0]
        ledger.append(holder, first, lambda _: {"schema": "assay.entry/1", "time": TIME, **facts})

    append(kind="run", outputs=[])
    append(kind="review", outputs=[], decisions={"release": 1})
    ledger.hand_over(KEYS[0], KEYS[1], TIME)
    if is_compacted:
        compaction.compact(ledger, KEYS[1], TIME)
    append(kind="run", outputs=[], late=True)
    return ledger


_MADE: dict[bool, dict[str, bytes]] = {}  # the files of both ledgers, by name, as they were written


def _made(*, is_compacted: bool) -> dict[str, bytes]:
    return _MADE[is_compacted]


def _store_seeds(folder: Path) -> list[bytes]:
    found = []
    for is_compacted in (False, True):
        home = folder / str(is_compacted)
        _grown(home, is_compacted=is_compacted)
        paths = sorted(home.rglob("*.parquet"))
        _MADE[is_compacted] = {str(path.relative_to(home)): path.read_bytes() for path in paths}
        for place, data in enumerate(_MADE[is_compacted].values()):
            found.append(bytes((is_compacted, place, 0, 0)) + data)
    return found


def _store(case: bytes, folder: Path) -> str:
    """Verify a ledger of which one file is the case."""
    head, body = case[:HEAD].ljust(HEAD, b"\0"), case[HEAD:]
    files = dict(_made(is_compacted=bool(head[0] % 2)))
    name = list(files)[head[1] % len(files)]
    if head[2] > 200:  # under another name, in its place or beside it
        files.pop(name) if head[2] % 2 else None
        name = NAMES[head[3] % len(NAMES)].format(head[3] // len(NAMES) % 8)
    is_changed = files.get(name) != body or name not in _made(is_compacted=bool(head[0] % 2))
    _write(folder, {**files, name: body})
    # what was really written tells nothing false wherever it stands, so the verifier alone lets it
    is_genuine = body in _made(is_compacted=bool(head[0] % 2)).values()
    must = is_changed or head[2] > 200
    return _verified(folder, must_break=must, alone_must=must and not is_genuine)


def _verified(folder: Path, *, must_break: bool, alone_must: bool) -> str:
    ledger = Ledger(folder / "ledger")
    before = sorted(folder.rglob("*"))
    found = verify.verify_ledger(ledger, KEYS[0].verifier)
    require(sorted(folder.rglob("*")) == before, "verifying left something behind")
    codes = sorted({notice.code for notice in found.breaks})
    told = sorted({notice.code for notice in found.warnings})
    require(codes or not must_break, f"a change that the ledger does not show; it warns {told}")
    try:
        faults, keys, _ = standalone_verify.walked(folder)
        alone = bool(faults) or KEYS[0].verifier.public not in keys
    except Exception:  # noqa: BLE001  # as its main does
        alone = True
    require(alone or not alone_must, "a change that the verifier alone does not show")
    with contextlib.suppress(AssayError):
        compaction.recorded(ledger)
    return f"{'breaks' if codes else 'holds'} {' '.join(codes)} {' '.join(told)} {alone}"


def _facts(case: bytes, folder: Path) -> str:
    """Verify a ledger whose last entries hold whatever somebody with a key wrote into them."""
    head, body = case[:HEAD].ljust(HEAD, b"\0"), case[HEAD:]
    files = dict(_made(is_compacted=False)) if head[0] % 4 else {}
    last = entry.parse(list(files.values())[-1]) if files else None
    seq, prev = (last.seq + 1, last.leaf) if last else (0, entry.GENESIS)
    signer = (KEYS[1] if files else KEYS[0]) if head[1] < 200 else STRANGER
    seq = (0, 1, (1 << 63) - 1, (1 << 64) - 1)[head[2] % 4] if head[2] >= 240 else seq
    bare = Entry(seq, prev, signer.verifier.key_id, body, b"", b"")
    leaf = bare.expected_leaf()
    made = Entry(seq, prev, bare.key_id, body, leaf, signer.sign(entry.DOMAIN + leaf))
    number = len(files)
    files[f"ledger/entries/{number:012}.parquet"] = made.to_parquet()
    _write(folder, files)
    is_strange = signer is STRANGER
    return _verified(folder, must_break=is_strange, alone_must=is_strange)


def _fact_seeds(folder: Path) -> list[bytes]:
    if not _MADE:
        _store_seeds(folder)
    found = []
    for item in _made(is_compacted=False).values():
        found += [bytes((how, 0, 0, 0)) + entry.parse(item).body for how in (0, 1)]
    segment = next(data for name, data in _made(is_compacted=True).items() if "segments" in name)
    found += [b"\1\0\0\0" + item.body for item in entry.parse_all(segment, 4)[0]]
    compact = {"kind": "compact", "outputs": [{"name": "000000000000-000000000003.parquet",
               "sha256": "0" * 64}], "time": TIME, "writer": entry._writer()}  # fmt: skip
    return [*found, b"\1\0\0\0" + entry.canonical(compact)]


def _checkpoint(ledger: Ledger) -> tuple[list[bytes], str]:
    leaves = [item.leaf for item in ledger.entries()]
    made = Checkpoint(note.origin_of(leaves[0]), len(leaves), merkle.Tree(leaves).root())
    return leaves, made.signed(KEYS[1])


_SEEN: list[tuple[int, bytes]] = []  # size and root of what is signed


def _note_seeds(folder: Path) -> list[bytes]:
    _, text = _checkpoint(_grown(folder, is_compacted=False))
    seen = note.parse(text)[0]
    _SEEN.append((seen.size, seen.root))
    witness = f"{text}— witness.example/w {base64.b64encode(bytes(68)).decode()}\n"
    return [text.encode(), witness.encode(), text.replace("\n\n", "\nmore\n\n").encode()]


def _note(case: bytes, folder: Path) -> str:
    path = folder / "a.note"
    path.write_bytes(case)
    keys = tuple(signer.verifier for signer in KEYS)
    with contextlib.suppress(AssayError):
        note.parse(trust.read_text(str(path), "checkpoint"))
    alone = _alone_opened(path, keys)
    # the verifier alone looks at signatures only, not at the names beside them
    require(alone in (None, *_SEEN), "the verifier alone trusts what was never signed")
    found = trust.checkpoint(str(path), keys)
    require(alone == (found.size, found.root), "two readings of a checkpoint")
    return "taken"


def _alone_opened(path: Path, keys: tuple[sign.Verifier, ...]) -> tuple[int, bytes] | None:
    try:
        return standalone_verify.opened(path.read_text("utf-8"), [key.public for key in keys])
    except Exception:  # noqa: BLE001  # as its main does
        return None


def _run_rows() -> tuple[pa.Table, pa.Table]:
    """Return two rows of content and their lineage."""
    content = pa.table({"id": ["a", "b"], "age": [1, None], "paid": [0.5, 2.0]})
    sources = (Source("a.csv", "csv", 1, "00" * 32, 0, 2),)
    ids = lineage.RowIds(sources).of(digest.of_rows(content), pa.array([0, 1]).to_numpy())
    rows = [{"row_id": ids[n].tobytes(), "source_sha256": bytes(32), "source_row": n,
             "fate": "clean", "file": "clean/part-00000.parquet", "file_row": n, "rules": []}
            for n in range(2)]  # fmt: skip
    return content, pa.Table.from_pylist(rows, lineage.LINEAGE_SCHEMA)


def _proven(folder: Path) -> tuple[str, str, bytes]:
    """Return a proof of a row, its checkpoint, and the row's file."""
    content, told = _run_rows()
    leaves = lineage.leaves(told)
    ledger = Ledger(folder / "ledger")
    facts = {"kind": "run", "time": TIME, "outputs": [],
             "lineage": {"root": merkle.Tree(leaves).root().hex(), "keyed": False}}  # fmt: skip
    item = ledger.append(KEYS[0], keychain.first_facts(KEYS[0], TIME), lambda _: facts)
    shown = {name: value.hex() if isinstance(value, bytes) else value
             for name, value in told.to_pylist()[1].items()}  # fmt: skip
    row = {"lineage": shown, "index": 1, "size": 2, "salt": None,
           "path": [beside.hex() for beside in merkle.inclusion(leaves, 1)]}  # fmt: skip
    all_leaves = [one.leaf for one in ledger.entries()]
    seen = Checkpoint(note.origin_of(all_leaves[0]), 2, merkle.Tree(all_leaves).root())
    text = seen.signed(KEYS[0])
    sink = io.BytesIO()
    pq.write_table(content.slice(1, 1), sink)
    return proof.text_of(item, all_leaves, text, row), text, sink.getvalue()


_PROOF: dict[str, bytes] = {}


def _proof_seeds(folder: Path) -> list[bytes]:
    text, seen, row = _proven(folder)
    _PROOF.update(proof=text.encode(), note=seen.encode(), row=row, key=KEYS[0].public_pem())
    extra = base64.b64decode(text.split("\n")[1].removeprefix("extra "))
    return [*(bytes((n, 0, 0, 0)) + data for n, data in enumerate(_PROOF.values())),
            bytes((4, 0, 0, 0)) + extra]  # fmt: skip


def _proof(case: bytes, folder: Path) -> str:
    """Let the verifier check a proof, of which one file, or what is inside it, is the case."""
    head, body = case[:HEAD].ljust(HEAD, b"\0"), case[HEAD:]
    files = dict(_PROOF)
    which = head[0] % 5
    if which == 4:
        first, _, *others = files["proof"].split(b"\n")
        files["proof"] = b"\n".join([first, b"extra " + base64.b64encode(body), *others])
    else:
        files[list(files)[which]] = body
    code, said = _alone(folder, files)
    if code == 0:
        told = json.loads(base64.b64decode(files["proof"].split(b"\n")[1].removeprefix(b"extra ")))
        mine = json.loads(base64.b64decode(_PROOF["proof"].split(b"\n")[1].removeprefix(b"extra ")))
        require(told["entry"] == mine["entry"], "a proof of another entry holds")
        same = ("row_id", "source_row", "source_sha256", "file_row")
        require(all(told["row"]["lineage"][k] == mine["row"]["lineage"][k] for k in same),
                "a proof of another row holds")  # fmt: skip
    return f"{code} {said}"


def _row_seeds(folder: Path) -> list[bytes]:
    if not _PROOF:
        _proof_seeds(folder)
    return [_PROOF["row"]]


def _row(case: bytes, folder: Path) -> str:
    """Digest a row's file in both ways."""
    code, said = _alone(folder, {**_PROOF, "row": case})
    try:
        table = pq.read_table(io.BytesIO(case))
        own = digest.of_rows(table)
    except Exception:  # noqa: BLE001  # what it cannot read, its own file never is
        return f"{code} {said}"
    if table.num_rows == 1:
        with contextlib.suppress(ValueError, StopIteration, pa.ArrowException, LookupError):
            alone = standalone_verify.row_digest(table)
            require(alone == own[0].tobytes(), "two digests of one row")
    return f"{code} {said}"


def _alone(folder: Path, files: dict[str, bytes]) -> tuple[int, str]:
    _write(folder, files)
    given = {"proof": "proof", "checkpoint": "note", "row": "row", "key": "key"}
    words = [f"--{option}={folder / name}" for option, name in given.items()]
    out = io.StringIO()
    with mock.patch.object(sys, "argv", ["x", *words]), contextlib.redirect_stdout(out):
        code = standalone_verify.main()
    require(code in (0, 4), f"exit code {code}")
    return code, out.getvalue().partition(":")[0][:40]


def _key_seeds(_: Path) -> list[bytes]:
    from cryptography.hazmat.primitives import serialization as form

    plain = form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()
    return [KEYS[0].private.private_bytes(*plain), KEYS[0].public_pem()]


def _keys(case: bytes, folder: Path) -> str:
    path = folder / "key.pem"
    path.write_bytes(case)
    told = []
    for read in (sign.load_public, sign.load):
        try:
            found = read(path)
            told.append(type(found).__name__)
        except AssayError as error:
            told.append(error.code)
    return " ".join(told)


def _write(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
