"""Compaction, change of key, checkpoints: the chain holds through them, and no attack does."""

import dataclasses
import multiprocessing

import pytest

from provenance.base.errors import AssayError
from provenance.ledger import checkpoint as note
from provenance.ledger import compaction, entry, key_rotation, merkle, segments, signing, verify
from provenance.ledger.checkpoint import Checkpoint
from provenance.ledger.ledger import Ledger

TIME = "2026-01-01T00:00:00+00:00"


@pytest.fixture
def signer(tmp_path):
    return signing.load_or_make(tmp_path / "key.pem")


@pytest.fixture
def other(tmp_path):
    return signing.load_or_make(tmp_path / "other.pem")


@pytest.fixture
def ledger(tmp_path, signer):
    return grown(Ledger(tmp_path / "ledger"), 5, signer)


def grown(ledger, count, signer, time=TIME):
    first = key_rotation.first_facts(signer, time)
    for _ in range(count):
        ledger.append(signer, first, lambda seq: {"kind": "run", "seq": seq, "time": time})
    return ledger


def codes(ledger, signer):
    return [b.code for b in verify.verify_ledger(ledger, signer.verifier).breaks]


def bodies(ledger):
    return [item.body for item in ledger.entries()]


def checkpoint(ledger):
    leaves = [item.leaf for item in ledger.entries()]
    return Checkpoint(note.origin_of(leaves[0]), len(leaves), merkle.Tree(leaves).root())


def against(ledger, signer, seen):
    walked = verify.verify_ledger(ledger, signer.verifier)
    return [b.code for b in verify.verify_checkpoint(walked, seen, "cp.note")]


def test_compacting_changes_where_entries_lie_and_nothing_else(ledger, signer):
    before = bodies(ledger)
    made = compaction.compact(ledger, signer, TIME)
    assert (made.name, made.entries) == ("000000000000-000000000005.parquet", 6)
    assert bodies(ledger)[:6] == before
    assert ledger.singles() == {6}
    assert ledger.read(6).kind == "compact"
    grown(ledger, 3, signer)
    assert compaction.compact(ledger, signer, TIME).name == "000000000006-000000000009.parquet"
    walked = verify.verify_ledger(ledger, signer.verifier)
    assert (walked.entries, walked.breaks, walked.warnings) == (11, (), ())
    assert compaction.compact(ledger, signer, TIME).name is None  # one entry is not worth it
    assert ledger.read(3).facts["seq"] == 3


def test_a_compaction_that_died_anywhere_is_told_and_finished(ledger, signer):
    singles = {seq: ledger.path_of(seq).read_bytes() for seq in ledger.numbers()}
    compaction.compact(ledger, signer, TIME)
    [segment] = segments.found_in(ledger.segments_folder)
    for seq, content in singles.items():
        if seq > 2:
            ledger.path_of(seq).write_bytes(content)  # died while it removed them
    walked = verify.verify_ledger(ledger, signer.verifier)
    assert (walked.breaks, [w.code for w in walked.warnings]) == ((), ["ASSAY-L009"])
    assert compaction.compact(ledger, signer, TIME).removed == 3
    for seq, content in singles.items():
        ledger.path_of(seq).write_bytes(content)
    ledger.path_of(6).unlink()  # died before its entry
    walked = verify.verify_ledger(ledger, signer.verifier)
    assert (walked.entries, walked.breaks) == (6, ())
    assert [w.code for w in walked.warnings] == ["ASSAY-L009"]
    assert compaction.compact(ledger, signer, TIME).entries == 6
    assert segment.path.exists()
    assert codes(ledger, signer) == []


def test_every_flipped_byte_of_a_segment_is_seen(ledger, signer):
    compaction.compact(ledger, signer, TIME)
    [segment] = segments.found_in(ledger.segments_folder)
    whole = segment.path.read_bytes()
    for position in range(0, len(whole), 17):
        bent = bytearray(whole)
        bent[position] ^= 1 << position % 8
        segment.path.write_bytes(bent)
        assert codes(ledger, signer), position
    segment.path.write_bytes(whole)
    assert codes(ledger, signer) == []


@pytest.mark.parametrize(
    ("attack", "code"),
    [
        (lambda s: s.path.unlink(), "ASSAY-L001"),
        (lambda s: s.path.write_bytes(b""), "ASSAY-L003"),
        (lambda s: s.path.write_bytes(s.path.read_bytes()[:-9]), "ASSAY-L003"),
        (lambda s: s.path.rename(s.path.with_name("000000000000-999999999999.parquet")),
         "ASSAY-L003"),
        (lambda s: s.path.rename(s.path.with_name("segment.parquet")), "ASSAY-L006"),
        (lambda s: s.path.rename(s.path.with_name("000000000001-000000000006.parquet")),
         "ASSAY-L005"),
    ],
)  # fmt: skip
def test_attacks_on_segments(ledger, signer, attack, code):
    compaction.compact(ledger, signer, TIME)
    attack(segments.found_in(ledger.segments_folder)[0])
    assert code in codes(ledger, signer)


def test_a_segment_that_no_entry_records_is_no_part_of_the_ledger(ledger, signer):
    content = entry.to_parquet([ledger.read(seq) for seq in range(6)], "zstd")
    ledger.segments_folder.mkdir()
    (ledger.segments_folder / segments.name_of(0, 5)).write_bytes(content)
    for seq in range(5):
        ledger.path_of(seq).unlink()
    assert codes(ledger, signer) == ["ASSAY-L006"]


def test_a_fork_beside_a_segment(ledger, signer):
    old = ledger.read(3)
    compaction.compact(ledger, signer, TIME)
    new = entry.make(3, old.prev, {"kind": "run", "seq": 3, "time": TIME, "n": "other"}, signer)
    ledger.path_of(3).write_bytes(new.to_parquet())
    found = verify.verify_ledger(ledger, signer.verifier).breaks
    assert "ASSAY-L008" in [b.code for b in found]
    assert any(old.leaf.hex() in b.message and new.leaf.hex() in b.message for b in found)
    with pytest.raises(AssayError, match="L008"):
        compaction.compact(ledger, signer, TIME)


def test_nothing_is_removed_when_an_entry_does_not_hold(ledger, signer):
    ledger.path_of(2).write_bytes(b"PAR1")
    with pytest.raises(AssayError, match="L003"):
        compaction.compact(ledger, signer, TIME)
    assert len(ledger.singles()) == 6
    assert segments.found_in(ledger.segments_folder) == []


def test_a_change_of_key_is_believed_from_either_side(ledger, signer, other):
    ledger.hand_over(signer, other, TIME)
    with pytest.raises(AssayError, match="L007"):
        grown(ledger, 1, signer)
    grown(ledger, 2, other)
    assert codes(ledger, signer) == codes(ledger, other) == []
    walked = verify.verify_ledger(ledger, other.verifier)
    assert walked.keys == (signer.verifier, other.verifier)
    compaction.compact(ledger, other, TIME)
    assert codes(ledger, signer) == []


def test_a_key_that_was_not_asked_takes_nothing_over(ledger, signer, other, tmp_path):
    """Whoever has only the public half of a key cannot make a ledger that it vouches for."""
    thief = signing.load_or_make(tmp_path / "thief.pem")
    fake = grown(Ledger(tmp_path / "fake"), 2, thief)
    facts = key_rotation.handover_facts(fake.head(), thief, signer, TIME)
    for proof in (facts["proof"][::-1], "", "zz", thief.sign(b"mine").hex()):
        fresh = grown(Ledger(tmp_path / f"fake{len(proof)}{proof[:2]}"), 2, thief)
        bent = {**facts, "proof": proof}
        fresh.append(thief, {}, lambda _, bent=bent: bent)
        assert "ASSAY-L007" in codes(fresh, signer)
    replayed = key_rotation.handover_facts(ledger.head(), signer, other, TIME)
    fake.append(thief, {}, lambda _: replayed)
    assert set(codes(fake, other)) == {"ASSAY-L007"}


def test_entries_by_the_old_key_after_the_change_are_refused(ledger, signer, other):
    head = ledger.hand_over(signer, other, TIME)
    late = entry.make(7, head.leaf, {"kind": "run", "time": TIME}, signer)
    ledger.path_of(7).write_bytes(late.to_parquet())
    assert codes(ledger, other) == ["ASSAY-L007"]


def test_secrets_outlive_the_key(tmp_path, signer, other):
    signing.leave_secret(signer, tmp_path / "other.pem")
    again = signing.load(tmp_path / "other.pem")
    assert again.verifier == other.verifier
    assert again.derived("pseudonym") == signer.derived("pseudonym") != other.derived("pseudonym")
    assert signing.secret_path(tmp_path / "other.pem").stat().st_mode & 0o777 == 0o600


def test_a_checkpoint_sees_a_cut_end_that_the_chain_cannot(ledger, signer):
    seen = checkpoint(ledger)
    grown(ledger, 2, signer)
    assert against(ledger, signer, seen) == []
    for seq in (7, 6):
        ledger.path_of(seq).unlink()
    assert (codes(ledger, signer), against(ledger, signer, seen)) == ([], [])
    ledger.path_of(5).unlink()
    assert codes(ledger, signer) == []
    assert against(ledger, signer, seen) == ["ASSAY-L002"]
    for seq in range(5):
        ledger.path_of(seq).unlink()
    assert against(ledger, signer, seen) == ["ASSAY-L002"]


def test_a_checkpoint_sees_a_history_that_was_signed_anew(tmp_path, ledger, signer):
    seen = checkpoint(ledger)
    ledger.path_of(5).unlink()
    grown(ledger, 3, signer, time="2026-01-02T00:00:00+00:00")
    assert codes(ledger, signer) == []
    assert against(ledger, signer, seen) == ["ASSAY-L008"]
    elsewhere = grown(Ledger(tmp_path / "else"), 9, signer, time="2026-01-03T00:00:00+00:00")
    assert against(elsewhere, signer, seen) == ["ASSAY-L008"]


def test_a_clock_that_runs_back_is_a_warning(ledger, signer):
    grown(ledger, 1, signer, time="2025-12-31T23:54:59+00:00")
    walked = verify.verify_ledger(ledger, signer.verifier)
    assert (walked.breaks, [w.code for w in walked.warnings]) == ((), ["ASSAY-L010"])
    grown(ledger, 1, signer, time="2025-12-31T23:51:00+00:00")  # less than five minutes more
    assert len(verify.verify_ledger(ledger, signer.verifier).warnings) == 1


def write_many(folder, key, count):
    ledger, signer = Ledger(folder), signing.load(key)
    grown(ledger, count, signer)


def compact_often(folder, key, times):
    for _ in range(times):
        compaction.compact(Ledger(folder), signing.load(key), TIME)


def test_writers_and_readers_go_on_while_it_compacts(tmp_path, ledger, signer):
    context = multiprocessing.get_context("spawn")
    common = (ledger.folder, tmp_path / "key.pem")
    work = [context.Process(target=write_many, args=(*common, 25)) for _ in range(2)]
    work += [context.Process(target=compact_often, args=(*common, 8)) for _ in range(2)]
    for process in work:
        process.start()
    seen = 0
    while any(process.is_alive() for process in work):
        walked = verify.verify_ledger(ledger, signer.verifier)
        assert walked.breaks == ()
        assert walked.entries >= seen
        seen = walked.entries
    assert [process.exitcode for process in work] == [0] * 4
    assert codes(ledger, signer) == []
    assert sum(item.kind == "run" for item in ledger.entries()) == 55


def test_an_entry_is_equal_to_itself_wherever_it_was_read(ledger, signer):
    single = ledger.read(2)
    compaction.compact(ledger, signer, TIME)
    assert ledger.read(2) == single
    assert dataclasses.asdict(ledger.read(2)) == dataclasses.asdict(single)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"entry"])
def test_a_stray_segment_that_cannot_be_read_is_a_break(ledger, signer, content):
    """A compaction that dies leaves whole segments only, so this is none's."""
    if content == b"entry":
        content = ledger.path_of(0).read_bytes() * 2
    ledger.segments_folder.mkdir()
    stray = ledger.segments_folder / segments.name_of(0, 1)
    stray.write_bytes(content.ljust(400, b"\0"))
    assert codes(ledger, signer) == ["ASSAY-L003"]
