"""What reads a ledger: entries, segments and their facts, by both verifiers.

Both read the same bytes, and neither may hold a ledger to be whole in which anything but
the bytes that its writer put there stands.
"""

import contextlib
import io
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fuzzing import parquet_mutation
from fuzzing.target import HEAD, Target, require

from provenance import standalone_verify
from provenance.base.errors import AssayError
from provenance.ledger import compaction, entry, key_rotation, verify
from provenance.ledger.entry import Entry
from provenance.ledger.ledger import Ledger
from provenance.ledger.signing import Signer

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


def targets() -> list[Target]:
    """Return the targets of the files of a ledger and of the facts in them."""
    changed = parquet_mutation.changed
    return [
        Target("ledger", _store_seeds, _store, change=changed, has_head=True, share=2),
        Target("facts", _fact_seeds, _facts, WORDS, has_head=True),
    ]


def grown(folder: Path, *, is_compacted: bool) -> Ledger:
    """Return a ledger of two runs, a review, another key, a compaction and one more run."""
    ledger = Ledger(folder / "ledger")
    first = key_rotation.first_facts(KEYS[0], TIME)

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
        grown(home, is_compacted=is_compacted)
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
    write(folder, {**files, name: body})
    # what was really written tells nothing false wherever it stands, so the verifier alone lets it;
    # of a segment only the entries count for it
    made = _made(is_compacted=bool(head[0] % 2)).values()
    is_genuine = body in made
    if "segments" in name and not is_genuine and (rows := _rows(body)):
        is_genuine = rows in map(_rows, made)
    must = is_changed or head[2] > 200
    return _verified(folder, must_break=must, alone_must=must and not is_genuine)


def _rows(content: bytes) -> list[dict[str, Any]] | None:
    try:
        return pq.read_table(io.BytesIO(content)).to_pylist()
    except Exception:  # noqa: BLE001  no Parquet
        return None


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
    write(folder, files)
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


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
