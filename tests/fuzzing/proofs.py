"""What leaves a ledger and comes back: checkpoints, proofs, rows, keys; by the verifier alone."""

import base64
import contextlib
import io
import json
import sys
from pathlib import Path
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
from fuzzing import parquet_mutation
from fuzzing.ledgers import KEYS, TIME, WORDS, grown, write
from fuzzing.target import HEAD, Target, require

from pipelines.store import trust
from provenance import standalone_verify
from provenance.base.errors import AssayError
from provenance.ledger import checkpoint, inclusion_proof, key_rotation, lineage, merkle, signing
from provenance.ledger.checkpoint import Checkpoint
from provenance.ledger.ledger import Ledger
from provenance.rows import digest
from provenance.rows.snapshot import Source

NOTE_WORDS = (
    *(b"\n\n", b"\n", "\u2014 ".encode(), b"+", b" ", b"0", b"=", b"-1", b"\r\n", b"assay.ledger/"),
    *(b"extra ", b"index ", b"c2sp.org/tlog-proof@v1\n", b"9" * 5000, b"\xff", b"\xc2\xa0"),
)


def targets() -> list[Target]:
    """Return a target for each of them."""
    words = (*NOTE_WORDS, *WORDS)
    return [
        Target("note", _note_seeds, _note, NOTE_WORDS, share=0.5),
        Target("proof", _proof_seeds, _proof, words, has_head=True),
        Target("proven row", _row_seeds, _row, change=parquet_mutation.changed),
        Target("keys", _key_seeds, _keys, (b"-----BEGIN PRIVATE KEY-----", b"\n", b"="), share=0.3),
    ]


def _checkpoint(ledger: Ledger) -> tuple[list[bytes], str]:
    leaves = [item.leaf for item in ledger.entries()]
    made = Checkpoint(checkpoint.origin_of(leaves[0]), len(leaves), merkle.Tree(leaves).root())
    return leaves, made.signed(KEYS[1])


_SEEN: list[tuple[int, bytes]] = []  # size and root of what is signed


def _note_seeds(folder: Path) -> list[bytes]:
    _, text = _checkpoint(grown(folder, is_compacted=False))
    seen = checkpoint.parse(text)[0]
    _SEEN.append((seen.size, seen.root))
    witness = f"{text}— witness.example/w {base64.b64encode(bytes(68)).decode()}\n"
    return [text.encode(), witness.encode(), text.replace("\n\n", "\nmore\n\n").encode()]


def _note(case: bytes, folder: Path) -> str:
    path = folder / "a.note"
    path.write_bytes(case)
    keys = tuple(signer.verifier for signer in KEYS)
    with contextlib.suppress(AssayError):
        checkpoint.parse(trust.read_text(str(path), "checkpoint"))
    alone = _alone_opened(path, keys)
    # the verifier alone looks at signatures only, not at the names beside them
    require(alone in (None, *_SEEN), "the verifier alone trusts what was never signed")
    found = trust.checkpoint(str(path), keys)
    require(alone == (found.size, found.root), "two readings of a checkpoint")
    return "taken"


def _alone_opened(path: Path, keys: tuple[signing.Verifier, ...]) -> tuple[int, bytes] | None:
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
    item = ledger.append(KEYS[0], key_rotation.first_facts(KEYS[0], TIME), lambda _: facts)
    shown = {name: value.hex() if isinstance(value, bytes) else value
             for name, value in told.to_pylist()[1].items()}  # fmt: skip
    row = {"lineage": shown, "index": 1, "size": 2, "salt": None,
           "path": [beside.hex() for beside in merkle.inclusion(leaves, 1)]}  # fmt: skip
    all_leaves = [one.leaf for one in ledger.entries()]
    seen = Checkpoint(checkpoint.origin_of(all_leaves[0]), 2, merkle.Tree(all_leaves).root())
    text = seen.signed(KEYS[0])
    sink = io.BytesIO()
    pq.write_table(content.slice(1, 1), sink)
    return inclusion_proof.text_of(item, all_leaves, text, row), text, sink.getvalue()


_PROOF: dict[str, bytes] = {}


def _proof_seeds(folder: Path) -> list[bytes]:
    text, seen, row = _proven(folder)
    _PROOF.update(proof=text.encode(), note=seen.encode(), row=row, key=KEYS[0].public_pem())
    extra = base64.b64decode(text.split("\n")[1].removeprefix("extra "))
    return [*(bytes((n, 0, 0, 0)) + data for n, data in enumerate(_PROOF.values())),
            bytes((4, 0, 0, 0)) + extra]  # fmt: skip


def _spelt(value: object) -> object:
    # hexadecimal may be written in capitals and with blanks: it is the same digest
    return bytes.fromhex(value) if isinstance(value, str) else value


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
        pairs = [(told["row"]["lineage"][k], mine["row"]["lineage"][k]) for k in same]
        require(all(_spelt(a) == _spelt(b) for a, b in pairs),
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
    write(folder, files)
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
    for read in (signing.load_public, signing.load):
        try:
            found = read(path)
            told.append(type(found).__name__)
        except AssayError as error:
            told.append(error.code)
    return " ".join(told)
