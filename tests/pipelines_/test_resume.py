"""A run that was killed: what it had finished is taken up, and nothing else is trusted."""

import errno
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import tables
from pipelines_.test_engine import CONTRACT

from checks.kit import findings, registry
from checks.kit.protocol import Check, Model
from pipelines.checking import resume
from pipelines.checking.engine import Processes, Serial
from pipelines.checking.examine import examine
from pipelines.checking.resume import Kept
from pipelines.checking.sealed import SEAL, SealedFolder
from provenance.ledger import signing
from provenance.rows.shards import write_shard

ASSAY = str(Path(sys.executable).parent / "assay")
FACTS = {"contract": "c", "read": [["a"]]}


class Counting(Check):
    """Counts its calls in files, so that those of workers count too."""

    name, threats = "counting", ("none",)
    stop = ""

    def called(self, what):
        if what == self.stop:
            raise KeyboardInterrupt
        with (Path(os.environ["CALLS"]) / what).open("a") as file:
            file.write(".")

    def fit(self, shard):
        self.called(f"fit {shard.number}")
        return int(shard.rows.sum())

    def merge(self, left, right):
        return left + right

    def finish(self, state):
        self.called("finish")
        return Model(notes=(f"sum {state}",))

    def score(self, shard, model):
        self.called(f"score {shard.number}")
        assert model.notes
        return findings.make(shard.row_array()[:1], check=self.name, rule="x", evidence="x")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return what examines four shards with what is kept below a folder; and what was called."""
    monkeypatch.setattr(registry, "load", lambda: {"counting": Counting})
    calls = tmp_path / "calls"
    calls.mkdir()
    monkeypatch.setenv("CALLS", str(calls))  # workers inherit it
    rows = tables.loans(400)
    refs = [write_shard(tmp_path, shard) for shard in tables.cut(rows, 100, 100, 100)]
    signer = signing.load_or_make(tmp_path / "key.pem")

    def run(stop="", *, facts=FACTS, engine=None, by=signer):
        for path in calls.iterdir():
            path.unlink()
        monkeypatch.setattr(Counting, "stop", stop)
        models = tmp_path / f"models-{time.monotonic_ns()}"
        models.mkdir()
        kept = Kept(tmp_path / "resume")
        kept.begin(facts, len(refs), lambda: by)
        try:
            context = tables.context_for(rows, None, **tables.ROLES)
            done = examine(context, refs, kept.over(engine or Serial()), models)
        finally:
            kept.close()
        return done.found, {path.name: len(path.read_text()) for path in calls.iterdir()}

    run.folder, run.refs = tmp_path / "resume", refs
    return run


def kept_in(place):
    [folder] = place.folder.iterdir()
    return sorted(folder.iterdir())


ALL = {f"{verb} {n}": 1 for verb in ("fit", "score") for n in range(4)} | {"finish": 1}


@pytest.mark.parametrize(
    ("stop", "left"),
    [
        ("fit 0", ALL),
        ("fit 2", {name: 1 for name in ALL if name not in ("fit 0", "fit 1")}),
        ("finish", {name: 1 for name in ALL if not name.startswith("fit")}),
        ("score 3", {"score 3": 1}),
    ],
)
def test_only_what_was_not_finished_is_done(place, stop, left, capsys):
    whole, calls = place()
    assert calls == ALL
    assert not place.folder.exists()  # nothing is kept of a run that ended
    with pytest.raises(KeyboardInterrupt):
        place(stop)
    capsys.readouterr()
    found, calls = place()
    assert calls == left
    assert found.equals(whole)
    count = len(ALL) - len(left)
    assert (f"resume: {count} parts" in capsys.readouterr().err) == bool(count)
    assert not place.folder.exists()


def test_workers_take_up_what_another_engine_left(place):
    whole, _ = place()
    with pytest.raises(KeyboardInterrupt):
        place("score 2")
    pool = Processes(2, 60.0)
    try:
        found, calls = place(engine=pool)
    finally:
        pool.close()
    assert found.equals(whole)
    assert calls == {"score 2": 1, "score 3": 1}


def test_other_facts_another_key_and_other_bytes_are_other_work(place, tmp_path):
    for facts, by in (({**FACTS, "read": [["b"]]}, None), (FACTS, "other.pem")):
        with pytest.raises(KeyboardInterrupt):
            place("score 3")
        other = {"by": signing.load_or_make(tmp_path / by)} if by else {}
        assert place(facts=facts, **other)[1] == ALL
        place()
    with pytest.raises(KeyboardInterrupt):
        place("score 3")
    table = pq.read_table(place.refs[1].path)
    pq.write_table(table, place.refs[1].path, compression="none")
    calls = place()[1]
    assert calls["fit 1"] == calls["score 1"] == calls["score 3"] == 1
    assert not {"fit 0", "fit 2", "fit 3", "score 0"} & calls.keys()


class Trap:
    def __reduce__(self):
        return os.mkdir, (str(Path(os.environ["CALLS"]) / "trapped"),)


def test_what_was_cut_or_altered_or_planted_is_neither_read_nor_trusted(place, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        place("score 0")
    files = kept_in(place)
    assert len(files) == 5
    content = [path.read_bytes() for path in files]
    files[0].write_bytes(content[0][:-1])
    files[1].write_bytes(content[0])  # a true one in another's place
    files[2].write_bytes(pickle.dumps((Trap(), [])) + content[2][-SEAL:])
    files[3].write_bytes(b"")
    files[4].write_bytes(content[4][:40] + bytes([content[4][40] ^ 1]) + content[4][41:])
    assert place()[1] == ALL
    assert not (tmp_path / "calls" / "trapped").exists()


def test_a_check_that_failed_is_tried_again(place, monkeypatch):
    fit = Counting.fit

    def failing(self, shard):
        return fit(self, shard) if shard.number else 1 // 0

    with monkeypatch.context() as patch:
        patch.setattr(Counting, "fit", failing)
        found, _ = place("finish")
        assert found["rule"].to_pylist() == ["ASSAY-K001"]
    with monkeypatch.context() as patch:
        patch.setattr(Counting, "fit", failing)
        patch.setattr(Kept, "close", lambda _: None)  # killed after the last verb
        place()
    assert place()[1] == {name: 1 for name in ALL if name not in ("fit 1", "fit 2", "fit 3")}


def test_one_shard_keeps_nothing_and_old_work_is_swept(tmp_path):
    signer = signing.load_or_make(tmp_path / "key.pem")
    old, young = (tmp_path / "resume" / (digit * 64) for digit in "ab")
    for folder in (old, young):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    alone = Kept(tmp_path / "resume")
    alone.begin(FACTS, 1, lambda: signer)
    assert alone.folder is None
    assert (old.exists(), young.exists()) == (False, True)


def test_a_full_disk_gets_back_what_is_kept(place, monkeypatch):
    write = SealedFolder.write

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "no space left on device")

    def full_of_what_is_kept(folder, *given, **named):
        return (full if folder.purpose == resume.PURPOSE else write)(folder, *given, **named)

    with pytest.raises(KeyboardInterrupt):
        place("fit 2")
    assert len(kept_in(place)) == 2
    monkeypatch.setattr(SealedFolder, "write", full_of_what_is_kept)
    monkeypatch.setattr(SealedFolder, "put", full)
    with pytest.raises(KeyboardInterrupt):
        place("fit 3", facts={**FACTS, "other": 1})
    assert [len(list(folder.iterdir())) for folder in place.folder.iterdir()] == [2]
    with pytest.raises(KeyboardInterrupt):
        place("fit 0")  # of which the file cannot be put back, so it is made again
    with pytest.raises(KeyboardInterrupt):
        place("fit 3")
    assert not place.folder.exists()


@pytest.mark.long
@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("engine", ["serial", "processes"])
def test_a_run_that_is_killed_goes_on_and_finds_the_same(tmp_path, kill, engine):
    draw = np.random.default_rng(7)
    income = draw.normal(3000, 500, 400_000).round(2)
    lines = [f"L-{i},{x},{'yes' if x > 3000 else 'no'}" for i, x in enumerate(income)]
    (tmp_path / "a.csv").write_text("\n".join(["id,income,label", *lines]) + "\n")
    (tmp_path / "c.yaml").write_text(CONTRACT)
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path)}

    def started(store):
        words = ["run", "c.yaml", "--source", "a.csv", "--direct", "--engine", engine]
        return subprocess.Popen(
            [ASSAY, *words, "--store", store], cwd=tmp_path, env=environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    whole = started("whole")
    assert whole.communicate()[1].count("resume:") == 0
    first = started("killed")
    while len(list((tmp_path / "killed" / "resume").glob("*/*"))) < 3:
        assert first.poll() is None
        time.sleep(0.01)
    first.send_signal(kill)
    first.communicate()
    assert not (tmp_path / "killed" / "runs").exists()
    second = started("killed")
    told = second.communicate()[1]
    assert "parts that an interrupted run has finished" in told
    assert second.returncode == whole.returncode
    assert not (tmp_path / "killed" / "resume").exists()
    for name in ("clean", "quarantine", "findings", "lineage"):
        one, two = (tmp_path / store / "runs" / f"{1:012}" / name for store in ("whole", "killed"))
        assert [p.name for p in one.iterdir()] == [p.name for p in two.iterdir()]
        assert all(p.read_bytes() == (two / p.name).read_bytes() for p in one.iterdir())
