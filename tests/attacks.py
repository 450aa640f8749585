"""What somebody with access to a store's files may do to it, and what honest runs leave there.

`CASES` must be found by whoever reads the store, `HONEST` must hold; each takes the folder of a
store that `build` made. `COMPACTED` and `HONEST_COMPACTED` are of a store with `is_compacted`.

Entries: 0 key, 1 run, 2 run, 3 review of 2, 4 release of 2, 5 access to 4. Compacted, these are one
segment; 6 is the compaction, 7 one more run.
"""

import dataclasses
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import runs
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from checks.kit import findings
from pipelines import cli
from pipelines.clock import now
from pipelines.store import keys
from pipelines.store.commit import Committer
from pipelines.store.store import Store
from provenance.ledger import compaction, entry, key_rotation, segments
from provenance.ledger.signing import Signer

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
name: night
schema:
  - name: night
    properties:
      - {name: key, logicalType: string, primaryKey: true}
      - {name: age, logicalType: integer}
"""
HUGE = 10 << 30  # bytes, of a file with holes
THIEF = Signer(Ed25519PrivateKey.from_private_bytes(bytes((7,)) * 32))
SEGMENT = segments.name_of(0, 5)


def build(folder, *, is_compacted=False):
    """Make a store in a folder that is there, with the key of the user's configuration."""
    contract, store = folder / "c.yaml", Store(folder / "store")
    contract.write_text(CONTRACT)
    sources = []
    for name in ("first", "second"):
        lines = "".join(f"{name}{n},{n}\n" for n in range(20))
        sources.append(folder / f"{name}.csv")
        sources[-1].write_text(f"key,age\n{lines}odd\n")
    held = [findings.make(np.array([2, 3]), check="contract", rule="age.maximum", column="age")]
    runs.committed(store, contract, sources[0])
    runs.committed(store, contract, sources[1], found=held)
    (folder / "d.csv").write_text("row,decision\n2,release\n")
    words = ["--store", str(store.folder)]
    assert cli.main(["review", "2", "--apply", str(folder / "d.csv"), *words]) == 0
    assert cli.main(["release", "2", *words]) == 0
    Committer.of(store, now()).commit_access({"schema": "assay.entry/1", "base": 4})
    if is_compacted:
        assert compaction.compact(store.ledger, keys.own(), now()).name == SEGMENT
        runs.committed(store, contract, *sources)
    return store.folder


def run(store, number):
    return store / "runs" / f"{number:012}"


def single(store, number):
    return store / "ledger/entries" / f"{number:012}.parquet"


def segment(store):
    return store / "ledger/segments" / SEGMENT


def decisions(store):
    return store / "reviews/000000000003.parquet"


def clean(store):
    return run(store, 1) / "clean/part-00000.parquet"


def report(store):
    return run(store, 2) / "report.html"


# --- what can stand where a file belongs


def edited(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def longer(path):
    with path.open("ab") as file:
        file.write(b"\n")


def emptied(path):
    path.write_bytes(b"")


def missing(path):
    path.unlink()


def a_link(path):
    away = path.parents[3] / f"away-{path.name}"
    path.rename(away)
    path.symlink_to(away)


def a_dangling_link(path):
    path.unlink()
    path.symlink_to("nowhere")


def an_endless_link(path):
    path.unlink()
    path.symlink_to("/dev/zero")


def a_pipe(path):
    path.unlink()
    os.mkfifo(path)


def a_socket(path):
    path.unlink()
    os.mknod(path, stat.S_IFSOCK | 0o600)


def a_device(path):
    path.unlink()
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root makes devices")


def a_folder(path):
    path.unlink()
    path.mkdir()


def huge(path):
    with path.open("r+b") as file:
        file.truncate(HUGE)


def rewritten_by_another_name(path):
    """Write into the file through a hard link that lies elsewhere."""
    other = path.parents[3] / "other-name"
    os.link(path, other)
    edited(other)


HARMS = (edited, longer, emptied, missing, a_link, a_dangling_link, an_endless_link, a_pipe,
         a_socket, a_device, a_folder, huge)  # fmt: skip


def of(find: Callable[[Path], Path], harm: Callable[[Path], None]) -> Callable[[Path], None]:
    """Return what does a harm to a file of a store."""
    return lambda store: harm(find(store))


def named(what, find, harms=HARMS):
    return {f"{what}: {harm.__name__}": of(find, harm) for harm in harms}


# --- what else can be done to entries


def resigned(store, first, signer, change=lambda facts: facts):
    """Write the entries from a number on anew, signed by another key."""
    ledger = Store(store).ledger
    items = list(ledger.entries())
    prev = items[first].prev
    for item in items[first:]:
        facts = {name: value for name, value in item.facts.items() if name != "writer"}
        made = entry.make(item.seq, prev, change(facts), signer)
        single(store, item.seq).write_bytes(made.to_parquet())
        prev = made.leaf


def by_another_key(store):
    resigned(store, 4, THIEF)


def anew_by_another_key(store):
    mine = key_rotation.first_facts(THIEF, now())
    resigned(store, 0, THIEF, lambda facts: mine if facts["kind"] == "key" else facts)


def facts_changed_under_the_old_signature(store):
    old = entry.parse(single(store, 5).read_bytes())
    bare = dataclasses.replace(old, body=old.body.replace(b"access", b"anchor"))
    made = dataclasses.replace(bare, leaf=bare.expected_leaf())
    single(store, 5).write_bytes(made.to_parquet())


def swapped(first, second):
    away = first.with_name("away")
    first.rename(away)
    second.rename(first)
    away.rename(second)


def end_cut_off(store):
    for number in (3, 4, 5):
        single(store, number).unlink()


def packed_anew(store):
    """Write an entry's file with the same facts and other bytes."""
    item = entry.parse(single(store, 2).read_bytes())
    single(store, 2).write_bytes(entry.to_parquet([item], compression="zstd"))


# --- what else can be done to folders


def moved_behind_a_link(store, path):
    """Put a folder elsewhere, whole, and a link to it in its place."""
    away = store.parent / f"away-{path.name}"
    path.rename(away)
    path.symlink_to(away)


def put(path, content=b"x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def clean_emptied(store):
    for path in (run(store, 1) / "clean").iterdir():
        path.unlink()


def case_changed(store):
    (run(store, 1) / "clean").rename(run(store, 1) / "Clean")


def findings_without_rows(store):
    """Replace a run's findings by a readable file without any."""
    from provenance.rows.shards import write_table

    write_table(findings.SCHEMA.empty_table(), run(store, 2) / "findings/part-00000.parquet")


def deep(store):
    folder = run(store, 1) / "clean"
    for _ in range(60):
        folder = folder / "d"
    folder.mkdir(parents=True)


CASES: dict[str, Callable[[Path], None]] = {
    **named("an entry", lambda store: single(store, 2)),
    **named("the last entry", lambda store: single(store, 5), (edited, a_pipe, a_link, huge)),
    "an entry packed anew": packed_anew,
    "an entry's number skipped": lambda s: single(s, 5).rename(single(s, 7)),
    "an entry twice": lambda s: shutil.copy(single(s, 2), single(s, 6)),
    "an entry under an odd name": lambda s: shutil.copy(
        single(s, 2), single(s, 2).with_name("+00000000002.parquet")
    ),
    "a stray among the entries": lambda s: put(single(s, 2).with_name("notes.txt")),
    "two entries swapped": lambda s: swapped(single(s, 2), single(s, 3)),
    "entries cut off": end_cut_off,
    "all entries gone": lambda s: shutil.rmtree(s / "ledger/entries"),
    "entries by another key": by_another_key,
    "a ledger by another key": anew_by_another_key,
    "an entry forged": facts_changed_under_the_old_signature,
    "a segment by nobody": lambda s: put(segment(s), b"PAR1" * 400),
    "a link among the segments": lambda s: (
        segment(s).parent.mkdir(exist_ok=True),
        segment(s).symlink_to(single(s, 2)),
    ),
    "a pipe among the segments": lambda s: (
        segment(s).parent.mkdir(exist_ok=True),
        os.mkfifo(segment(s)),
    ),
    **named("a clean file", clean),
    **named("a page", report, (edited, a_link, a_pipe, huge)),
    "a clean file rewritten by another name": lambda s: rewritten_by_another_name(clean(s)),
    "a clean file renamed": lambda s: clean(s).rename(clean(s).with_name("part-00001.parquet")),
    "a manifest edited": lambda s: edited(run(s, 1) / "manifest.json"),
    "a contract edited": lambda s: edited(run(s, 1) / "contract.yaml"),
    "a lineage edited": lambda s: edited(next((run(s, 4) / "lineage").iterdir())),
    "findings without rows": findings_without_rows,
    "clean emptied": clean_emptied,
    "clean's name in capitals": case_changed,
    "clean behind a link": lambda s: moved_behind_a_link(s, run(s, 1) / "clean"),
    "a file too many": lambda s: put(run(s, 1) / "clean/part-00099.parquet"),
    "a file in a folder too many": lambda s: put(run(s, 1) / "clean/more/part-00000.parquet"),
    "an empty folder too many": lambda s: (run(s, 1) / "more").mkdir(),
    "an empty folder in clean": lambda s: (run(s, 1) / "clean/more").mkdir(),
    "folders without end": deep,
    "a link to a file too many": lambda s: (run(s, 1) / "clean/more.parquet").symlink_to(clean(s)),
    "a link to a folder too many": lambda s: (run(s, 1) / "more").symlink_to(run(s, 2)),
    "a link to itself too many": lambda s: (run(s, 1) / "more").symlink_to("."),
    "a dangling link too many": lambda s: (run(s, 1) / "clean/more").symlink_to("nowhere"),
    "a pipe too many": lambda s: os.mkfifo(run(s, 1) / "clean/more.parquet"),
    "a name with a line feed": lambda s: put(run(s, 1) / "clean/a\nholds: all.parquet"),
    "a run's folder gone": lambda s: shutil.rmtree(run(s, 1)),
    "two runs' folders swapped": lambda s: swapped(run(s, 1), run(s, 2)),
    "a run's folder behind a link": lambda s: moved_behind_a_link(s, run(s, 1)),
    "a run's folder beyond the end": lambda s: put(run(s, 9) / "clean/part-00000.parquet"),
    "a run's folder of no run": lambda s: run(s, 5).mkdir(),
    "a link named like the next run": lambda s: run(s, 6).symlink_to(run(s, 1)),
    "a file named like a run": lambda s: put(run(s, 7)),
    "a stray among the runs": lambda s: (s / "runs/latest").symlink_to(run(s, 1)),
    "a folder among the runs": lambda s: (s / "runs/7").mkdir(),
    **named("decisions", decisions),
    "decisions of no entry": lambda s: shutil.copy(
        decisions(s), decisions(s).with_name("000000000004.parquet")
    ),
    "decisions beyond the end": lambda s: shutil.copy(
        decisions(s), decisions(s).with_name("000000000009.parquet")
    ),
    "a stray among the decisions": lambda s: put(s / "reviews/notes.txt"),
    "a link among the decisions": lambda s: (s / "reviews/more").symlink_to(decisions(s)),
    **{
        f"{name} behind a link": lambda store, name=name: moved_behind_a_link(store, store / name)
        for name in ("runs", "ledger", "ledger/entries", "reviews")
    },
    "staging is a link": lambda s: (
        shutil.rmtree(s / "staging", ignore_errors=True),
        (s / "staging").symlink_to("/tmp"),
    ),
    "runs is a file": lambda s: ((s / "runs").rename(s.parent / "away"), put(s / "runs")),
}


def segment_by_nobody(store):
    """Copy a good segment to a name that no entry records."""
    items = Store(store).ledger.entries()
    content = entry.to_parquet(list(items)[:5], compression="zstd")
    put(segment(store).with_name(segments.name_of(0, 4)), content)


def single_beside_segment(store, change=None):
    item = Store(store).ledger.read(5)
    facts = {"kind": "access", "time": now(), "base": 1}
    made = change(item, facts) if change else item
    single(store, 5).write_bytes(made.to_parquet())


COMPACTED: dict[str, Callable[[Path], None]] = {
    **named("a segment", segment),
    "a segment by nobody": segment_by_nobody,
    "a segment renamed": lambda s: segment(s).rename(segment(s).with_name(segments.name_of(1, 6))),
    "a segment under an odd name": lambda s: segment(s).rename(segment(s).with_name("all.parquet")),
    "a segment that names everything": lambda s: shutil.copy(
        segment(s), segment(s).with_name(segments.name_of(6, 10**12 - 1))
    ),
    "segments behind a link": lambda s: moved_behind_a_link(s, s / "ledger/segments"),
    "a folder among the segments": lambda s: (s / "ledger/segments/more").mkdir(),
    "an entry that its segment gives otherwise": lambda s: single_beside_segment(
        s, lambda item, facts: entry.make(5, item.prev, facts, THIEF)
    ),
    "the compaction's entry gone": lambda s: single(s, 6).unlink(),
    "a clean file edited": lambda s: edited(clean(s)),
    "a file too many": lambda s: put(run(s, 7) / "more"),
}


# --- what honest runs leave


def staged(store):
    """Leave what a run that died had in work, and what it had finished."""
    put(store / "staging" / ("0" * 32) / "out/clean/part-00000.parquet")
    put(store / "staging" / ("1" * 32 + ".alive"), b"")
    put(store / "resume" / ("a" * 64) / "shard-00000.parquet")
    put(store / "ledger/tmp/000000000006.parquet.4711-0")


def next_run_died(store):
    shutil.copytree(run(store, 1), run(store, 6))
    shutil.copy(decisions(store), decisions(store).with_name("000000000006.parquet"))


def compaction_died(store):
    ledger = Store(store).ledger
    put(segment(store), entry.to_parquet(list(ledger.entries()), compression="zstd"))


def empty_folders_lost(store):
    """Leave out what some tools do not copy."""
    for folder in store.glob("runs/*/*"):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def empty_folders_made(store):
    for name in ("quarantine", "rejected", "models"):
        (run(store, 1) / name).mkdir(exist_ok=True)


HONEST: dict[str, Callable[[Path], None]] = {
    "nothing": lambda _: None,
    "a run that died at work": staged,
    "a run that died before its entry": next_run_died,
    "a compaction that died before its entry": compaction_died,
    "empty folders lost": empty_folders_lost,
    "empty folders made": empty_folders_made,
    "files by other times and modes": lambda s: (clean(s).chmod(0o400), os.utime(clean(s), (1, 1))),
}
HONEST_COMPACTED: dict[str, Callable[[Path], None]] = {
    "nothing": lambda _: None,
    "a compaction that died before its end": single_beside_segment,
    "a run that died before a compaction": lambda s: run(s, 6).mkdir(),
}
