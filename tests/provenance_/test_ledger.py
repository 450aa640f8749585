"""The ledger: one chain whatever happens, and no alteration unseen."""

import base64
import dataclasses
import multiprocessing
import os
import random
import signal
import time

import pytest

from provenance.base.errors import AssayError
from provenance.ledger import entry, key_rotation, signing, verify
from provenance.ledger.ledger import Ledger

TIME = "2026-01-01T00:00:00+00:00"


def grown(folder, count, signer):
    ledger = Ledger(folder)
    for number in range(count):
        append(ledger, signer, lambda seq, n=number: {"kind": "run", "n": n, "seq": seq})
    return ledger


def append(ledger, signer, prepare):
    return ledger.append(signer, key_rotation.first_facts(signer, TIME), prepare)


@pytest.fixture
def signer(tmp_path):
    return signing.load_or_make(tmp_path / "key.pem")


@pytest.fixture
def ledger(tmp_path, signer):
    return grown(tmp_path / "ledger", 5, signer)


def codes(ledger, signer):
    return [b.code for b in verify.verify_ledger(ledger, signer.verifier).breaks]


def test_entries_are_dense_chained_and_signed(ledger, signer):
    walked = verify.verify_ledger(ledger, signer.verifier)
    assert (walked.entries, walked.breaks) == (6, ())  # the key's entry and five runs
    assert [e.facts.get("n") for e in ledger.entries()] == [None, 0, 1, 2, 3, 4]
    assert walked.head == ledger.head().leaf


def test_key_is_made_once_and_for_its_owner_only(tmp_path):
    path = tmp_path / "new" / "key.pem"
    first, second = signing.load_or_make(path), signing.load_or_make(path)
    assert first.verifier == second.verifier
    assert path.stat().st_mode & 0o777 == 0o600


def test_missing_entry(ledger, signer):
    ledger.path_of(3).unlink()
    assert "ASSAY-L001" in codes(ledger, signer)
    ledger.path_of(5).unlink()
    with pytest.raises(AssayError, match="entry 3 is missing"):
        grown(ledger.folder, 1, signer)


def test_a_gap_is_one_break_however_wide(ledger, signer):
    def missing():
        breaks = verify.verify_ledger(ledger, signer.verifier).breaks
        return [b.message for b in breaks if b.code == "ASSAY-L001"]

    ledger.path_of(10**12 - 1).touch()
    started = time.monotonic()
    assert missing() == ["entries 6 to 999999999998 are missing"]
    assert codes(ledger, signer) == ["ASSAY-L001", "ASSAY-L003"]
    for seq in (0, 2, 4):
        ledger.path_of(seq).unlink()
    assert missing() == [
        *(f"entry {seq} is missing" for seq in (0, 2, 4)),
        "entries 6 to 999999999998 are missing",
    ]
    with pytest.raises(AssayError, match="entry 0 is missing"):
        grown(ledger.folder, 1, signer)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    "stem",
    [
        "+00000000002",
        "-00000000002",
        "0_0000000002",
        " 00000000002",
        "0000000000²2",
        "٠٠٠٠٠٠٠٠٠٠٠٢",
    ],
)
def test_a_number_is_written_in_one_way_only(ledger, signer, stem):
    (ledger.entries_folder / f"{stem}.parquet").write_bytes(ledger.path_of(2).read_bytes())
    assert codes(ledger, signer) == ["ASSAY-L006"]
    with pytest.raises(AssayError, match="L006"):
        ledger.numbers()


def test_truncated_and_empty_entries(ledger, signer):
    content = ledger.path_of(2).read_bytes()
    for cut in (b"", content[:100], content[:-1]):
        ledger.path_of(2).write_bytes(cut)
        assert "ASSAY-L003" in codes(ledger, signer)


def test_edited_body(ledger, signer):
    old = ledger.read(2)
    new = entry.Entry(
        old.seq, old.prev, old.key_id, old.body.replace(b'"n":1', b'"n":9'), old.leaf, old.sig
    )
    ledger.path_of(2).write_bytes(new.to_parquet())
    assert codes(ledger, signer) == ["ASSAY-L004"]


def test_nothing_is_chained_onto_an_edited_head(ledger, signer):
    old = ledger.read(5)
    body = old.body.replace(b'"n":4', b'"n":9')
    new = entry.Entry(old.seq, old.prev, old.key_id, body, old.leaf, old.sig)
    ledger.path_of(5).write_bytes(new.to_parquet())
    with pytest.raises(AssayError) as refused:
        grown(ledger.folder, 1, signer)
    (told,) = verify.verify_ledger(ledger, signer.verifier).breaks
    assert (refused.value.code, refused.value.what) == (told.code, told.message)
    assert told.code == "ASSAY-L004"
    leaf = new.expected_leaf().hex()
    assert told.message == f"entry 5 was edited: digest {leaf}, recorded {old.leaf.hex()}"
    assert len(ledger.numbers()) == 6


def test_nothing_is_chained_onto_a_replayed_head(ledger, signer):
    ledger.path_of(6).write_bytes(ledger.path_of(2).read_bytes())
    with pytest.raises(AssayError, match="entry 6 has the number 2"):
        grown(ledger.folder, 1, signer)


def test_edited_and_redigested_body_needs_the_key(ledger, signer):
    old = ledger.read(2)
    body = old.body.replace(b'"n":1', b'"n":9')
    new = dataclasses.replace(old, body=body)
    new = dataclasses.replace(new, leaf=new.expected_leaf())
    ledger.path_of(2).write_bytes(new.to_parquet())
    assert codes(ledger, signer) == ["ASSAY-L007", "ASSAY-L005"]


def test_key_id_is_covered_by_the_digest(ledger, signer):
    old = ledger.read(2)
    new = entry.Entry(old.seq, old.prev, b"\1\2\3\4", old.body, old.leaf, old.sig)
    ledger.path_of(2).write_bytes(new.to_parquet())
    assert set(codes(ledger, signer)) == {"ASSAY-L004", "ASSAY-L007"}


def test_reordered_replayed_and_stray(ledger, signer):
    two, three = ledger.path_of(2).read_bytes(), ledger.path_of(3).read_bytes()
    ledger.path_of(2).write_bytes(three)
    ledger.path_of(3).write_bytes(two)
    assert "ASSAY-L005" in codes(ledger, signer)
    ledger.path_of(2).write_bytes(two)
    ledger.path_of(3).write_bytes(three)
    ledger.path_of(6).write_bytes(two)  # a replay
    assert "ASSAY-L005" in codes(ledger, signer)
    ledger.path_of(6).unlink()
    (ledger.entries_folder / "2.parquet").write_bytes(two)  # a stray copy
    assert codes(ledger, signer) == ["ASSAY-L006"]


def test_another_key_is_refused(ledger, tmp_path):
    other = signing.load_or_make(tmp_path / "other.pem")
    assert set(codes(ledger, other)) == {"ASSAY-L007"}
    with pytest.raises(AssayError) as refused:
        grown(ledger.folder, 1, other)
    assert refused.value.code == "ASSAY-L007"
    assert refused.value.exit_code == 4


def test_every_flipped_bit_is_seen(ledger, signer):
    rng = random.Random(5)
    for seq in range(6):
        whole = ledger.path_of(seq).read_bytes()
        for position in rng.sample(range(len(whole)), 40):
            flipped = bytearray(whole)
            flipped[position] ^= 1 << rng.randrange(8)
            ledger.path_of(seq).write_bytes(flipped)
            assert codes(ledger, signer), (seq, position)
        ledger.path_of(seq).write_bytes(whole)
    assert codes(ledger, signer) == []


def append_many(folder, key, count, offset):
    signer = signing.load(key)
    ledger = Ledger(folder)
    for number in range(count):
        append(ledger, signer, lambda _, n=number: {"kind": "run", "n": offset + n})


def test_writers_at_the_same_time_neither_fork_nor_lose(tmp_path, signer):
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(
            target=append_many, args=(tmp_path / "ledger", tmp_path / "key.pem", 12, 1000 * n)
        )
        for n in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    ledger = Ledger(tmp_path / "ledger")
    walked = verify.verify_ledger(ledger, signer.verifier)
    assert (walked.entries, walked.breaks) == (37, ())
    assert len({e.facts["n"] for e in ledger.entries() if e.kind == "run"}) == 36


def test_a_killed_writer_leaves_a_whole_chain(tmp_path, signer):
    context = multiprocessing.get_context("fork")
    for attempt in range(4):
        worker = context.Process(
            target=append_many, args=(tmp_path / "ledger", tmp_path / "key.pem", 500, attempt)
        )
        worker.start()
        time.sleep(0.03 + 0.02 * attempt)
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()
        ledger = grown(tmp_path / "ledger", 1, signer)
        assert verify.verify_ledger(ledger, signer.verifier).breaks == ()


def test_a_failing_preparation_appends_nothing(ledger, signer):
    def fails(_):
        raise AssayError("E002", "the disk is full")

    with pytest.raises(AssayError):
        append(ledger, signer, fails)
    assert ledger.head().seq == 5


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{}", b"7", b"\xff", b"[" * 9999, b'{"kind":"other"}', b'{"kind":["key"]}',
        b'{"kind":"compact"}', b'{"kind":"compact","outputs":[7]}', b'{"kind":"run","outputs":{}}',
        b'{"kind":"compact","outputs":[{"name":"a"}]}', b'{"kind":"run","outputs":[{"name":7}]}',
    ],
    ids=repr,
)  # fmt: skip
def test_facts_that_no_entry_has_are_a_break_whoever_signed_them(ledger, signer, body):
    head = ledger.head()
    bare = entry.Entry(head.seq + 1, head.leaf, signer.verifier.key_id, body, b"", b"")
    leaf = bare.expected_leaf()
    signature = signer.sign(entry.DOMAIN + leaf)
    made = dataclasses.replace(bare, leaf=leaf, sig=signature)
    ledger.path_of(bare.seq).write_bytes(made.to_parquet())
    assert codes(ledger, signer) == ["ASSAY-L003"]


def test_an_entry_that_claims_many_rows_is_not_read(ledger, monkeypatch):
    many = [ledger.head()] * 1000
    ledger.path_of(5).write_bytes(entry.to_parquet(many, "zstd"))
    monkeypatch.setattr(entry.pq.ParquetFile, "read", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(ValueError, match="one row"):
        entry.parse(ledger.path_of(5).read_bytes())


@pytest.mark.parametrize("read", [signing.load, signing.load_public])
def test_a_key_of_an_unknown_kind_is_no_key(tmp_path, signer, read):
    path = tmp_path / "odd.pem"
    whole = (tmp_path / "key.pem").read_bytes() if read is signing.load else signer.public_pem()
    first, body, last, _ = whole.split(b"\n")
    der = base64.b64decode(body).replace(bytes((0x2B, 0x65, 0x70)), bytes((0x2B, 0x65, 0x01)))
    path.write_bytes(b"\n".join([first, base64.b64encode(der), last, b""]))
    with pytest.raises(AssayError) as caught:
        read(path)
    assert caught.value.code == "ASSAY-E003"
