"""Checks that hang, die or lack their reference: a finding of their own, and the run commits."""

import json
import operator
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tables

from checks.kit import findings, registry
from checks.kit.protocol import Check, Model
from checks.leakage import Leakage
from checks.values import Values
from pipelines import cli
from pipelines.checking import engine
from pipelines.checking.engine import Processes, Serial
from pipelines.checking.examine import examine
from pipelines.run import examination, reading
from pipelines.run.child_process import Child
from provenance.base.errors import AssayError
from provenance.rows.shards import write_shard

HANG = 20.0  # seconds that a planted check sleeps; nothing here may wait for its end
# what a small run needs; the other checks only cost time
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: small
name: small
version: 1.0.0
status: active
customProperties:
  - property: assay.checks
    value: {labels: off, outliers: off, poison: off, duplicates: off, pii: off, sources: off}
schema:
  - name: small
    logicalType: object
    properties:
      - {name: id, logicalType: string, primaryKey: true, primaryKeyPosition: 1}
      - {name: income, logicalType: number}
      - name: label
        logicalType: string
        customProperties:
          - {property: assay.role, value: label}
"""


class Quick(Check):
    name, threats = "quick", ("none",)

    def fit(self, shard):
        return len(shard.rows)

    def merge(self, left, right):
        return left + right

    def finish(self, state):
        return Model(notes=(f"{state} rows",))

    def score(self, shard, model):
        del shard, model
        return findings.empty()


class Slow(Quick):
    name, threats, verb = "slow", ("sloth",), "fit"

    def fit(self, shard):
        return self._slept("fit", super().fit(shard))

    def finish(self, state):
        return self._slept("finish", super().finish(state))

    def score(self, shard, model):
        return self._slept("score", super().score(shard, model))

    def _slept(self, verb, value):
        if verb == self.verb:
            time.sleep(HANG)
        return value


class Needy(Quick):
    name, threats, needs = "needy", ("drift",), frozenset({"reference"})


class Deadly:
    """Ends whichever process unpickles it."""

    def __reduce__(self):
        return os._exit, (1,)


def planted(monkeypatch, *kinds):
    monkeypatch.setattr(registry, "load", lambda: {kind.name: kind for kind in kinds})


def examined(tmp_path, chosen, reference=None):
    refs = [write_shard(tmp_path, s) for s in tables.cut(tables.loans(300), 100)]
    try:
        context = tables.context_for(tables.loans(300), reference, **tables.ROLES)
        done = examine(context, refs, chosen, tmp_path)
    finally:
        chosen.close()
    return done, {status.check: status for status in done.statuses}


def test_serial_keeps_order_raises_as_it_is_and_sees_the_callers_context():
    assert Serial(5.0).map(operator.neg, range(3)) == [0, -1, -2]
    assert Serial().map(operator.neg, [1]) == [-1]
    with pytest.raises(ZeroDivisionError):
        Serial(5.0).map(lambda number: 1 // number, [0])


def test_without_a_timeout_there_is_no_thread():
    assert Serial().map(lambda _: threading.current_thread(), [0]) == [threading.current_thread()]
    timed = engine.make("auto", 10, timeout=5.0).map(lambda _: threading.current_thread(), [0])
    assert [thread.daemon for thread in timed] == [True]


@pytest.mark.parametrize("chosen", [Serial(0.3), Processes(1, 0.3)], ids=["serial", "processes"])
def test_a_map_that_takes_too_long_is_k002_on_both_engines(chosen):
    start = time.monotonic()
    with pytest.raises(AssayError) as raised:
        chosen.map(time.sleep, [HANG])
    assert raised.value.code == "ASSAY-K002"
    assert raised.value.what == "it took longer than 0.3 s"
    assert time.monotonic() - start < HANG / 2


def test_the_time_is_for_the_whole_map():
    with pytest.raises(AssayError, match="K002"):
        Serial(0.5).map(time.sleep, [0.2] * 10)


def test_a_late_thread_ends_once_it_is_back_in_python():
    seen = []

    def forever(_):
        seen.append(threading.current_thread())
        while True:
            time.sleep(0.01)

    with pytest.raises(AssayError, match="K002"):
        Serial(0.2).map(forever, [0])
    seen[0].join(5.0)
    assert not seen[0].is_alive()


def test_a_worker_that_dies_twice_is_e005_and_the_next_map_has_new_ones():
    pool = Processes(1)
    with pytest.raises(AssayError) as raised:
        pool.map(os._exit, [1])
    assert raised.value.code == "ASSAY-E005"
    assert pool.map(operator.neg, [1]) == [-1]
    pool.close()


@pytest.mark.parametrize("verb", ["fit", "finish", "score"])
def test_only_the_check_that_hangs_fails(tmp_path, monkeypatch, verb):
    planted(monkeypatch, Quick, Slow)
    monkeypatch.setattr(Slow, "verb", verb)
    done, statuses = examined(tmp_path, Serial(0.5))
    assert (statuses["quick"].status, statuses["quick"].notes) == ("ok", ("300 rows",))
    slow = statuses["slow"]
    assert (slow.status, slow.findings, slow.rows) == ("timeout", 1, 0)
    assert slow.why == f"{verb} raised ASSAY-K002: it took longer than 0.5 s"
    assert 0.5 <= slow.seconds < HANG / 2
    [found] = done.found.to_pylist()
    assert (found["check"], found["rule"], found["severity"]) == ("slow", "ASSAY-K002", "error")
    assert found["evidence"] == f"the check slow did not run: {slow.why}"
    assert (tmp_path / "quick.pkl").is_file()
    assert [fault.kind for fault in done.faults.values()] == ["ASSAY-K002"]


def test_checks_that_only_together_take_too_long_all_run(tmp_path, monkeypatch):
    monkeypatch.setattr(Quick, "fit", lambda _, shard: time.sleep(0.3) or len(shard.rows))
    planted(monkeypatch, Quick, type("Other", (Quick,), {"name": "other"}))
    _, statuses = examined(tmp_path, Serial(1.0))
    assert {status.status for status in statuses.values()} == {"ok"}


def test_only_the_check_that_kills_its_worker_fails(tmp_path, monkeypatch):
    start = Values.__init__

    def armed(self, context):
        start(self, context)
        self.deadly = Deadly()

    monkeypatch.setattr(Values, "__init__", armed)
    planted(monkeypatch, Values, Leakage)
    done, statuses = examined(tmp_path, Processes(1))
    assert {name: status.status for name, status in statuses.items()} == {
        "leakage": "ok",
        "values": "failed",
    }
    [found] = [item for item in done.found.to_pylist() if item["check"] == "values"]
    assert found["rule"] == "ASSAY-K001"  # what the verdict takes for `did not run`
    assert "fit raised ASSAY-E005: a worker process died twice" in found["evidence"]
    assert found["suggestion"] == engine.KILLED


def test_another_refusal_of_the_engine_is_not_a_checks_fault(tmp_path, monkeypatch):
    def refuse(*_):
        raise AssayError("E002", "the disk is full")

    planted(monkeypatch, Quick)
    chosen = Serial()
    monkeypatch.setattr(chosen, "map", refuse)
    with pytest.raises(AssayError, match="E002"):
        examined(tmp_path, chosen)


@pytest.mark.parametrize("empty", [tables.loans(0), pa.table({})], ids=["no rows", "no columns"])
def test_checks_that_need_an_empty_reference_fail(tmp_path, monkeypatch, empty):
    planted(monkeypatch, Needy, Quick)
    done, statuses = examined(tmp_path, Serial(), empty)
    assert {name: status.status for name, status in statuses.items()} == {
        "needy": "failed",
        "quick": "ok",
    }
    assert statuses["needy"].threats == ("drift",)
    assert done.found["rule"].to_pylist() == ["ASSAY-K003"]


def test_no_reference_at_all_is_skipped_as_before(tmp_path, monkeypatch):
    planted(monkeypatch, Needy, Quick)
    done, statuses = examined(tmp_path, Serial())
    assert statuses["needy"].status == "skipped"
    assert len(done.found) == 0


@pytest.fixture
def small(tmp_path):
    """The command line of a run over a small source that passes."""
    (tmp_path / "contract.yaml").write_text(CONTRACT)
    kept = tables.loans(300).select(["id", "income", "label"])
    pq.write_table(kept, tmp_path / "small.parquet")
    place = [tmp_path / "contract.yaml", "--source", tmp_path / "small.parquet"]
    store = ["--store", tmp_path / "store"]
    return [str(word) for word in ["run", *place, *store, "--direct", "--json"]]


def ran(command, capsys):
    """Run in this process; returns the exit code, the object, and the findings by check."""
    code = cli.main(command)
    told = json.loads(capsys.readouterr().out)
    assert told["error"] is None, told
    found = pq.read_table(f"{told['path']}/findings").to_pylist()
    return code, told, {item["check"]: item for item in found}


def statuses_of(told):
    return {check["check"]: check["status"] for check in told["checks"]}


def test_a_run_with_a_check_that_hangs_commits_and_fails(small, monkeypatch, capsys):
    make, given = engine.make, []

    def impatient(name, rows, *, timeout, **where):
        given.append(timeout)
        return make(name, rows, timeout=4.0, **where)

    monkeypatch.setattr(engine, "make", impatient)
    monkeypatch.setattr(Values, "fit", lambda *_: time.sleep(HANG))
    start = time.monotonic()
    code, told, found = ran([*small, "--engine", "serial"], capsys)
    assert given == [engine.CHECK_SECONDS]
    assert (code, told["verdict"], told["run"]) == (3, "fail", 1)
    assert statuses_of(told)["values"] == "timeout"
    assert {statuses_of(told)[name] for name in ("leakage", "shape", "contract")} == {"ok"}
    [reason] = told["reasons"]
    assert (reason["code"], reason["where"]) == ("ASSAY-K002", "values")
    assert "raise assay.limits.check_seconds" in reason["message"]
    assert (found["values"]["rule"], found["values"]["row"]) == ("ASSAY-K002", None)
    assert told["rows"]["clean"] == 300
    assert time.monotonic() - start < 60
    store = small[small.index("--store") + 1]
    assert cli.main(["verify", "1", "--store", store]) == 0


def test_a_run_with_an_empty_reference_commits_and_fails(small, tmp_path, capsys):
    reference = tmp_path / "reference.csv"
    reference.write_text("id,income,label\nL-1,much,yes\nL-2,more,no\n")  # none can be cast
    code, told, found = ran([*small, "--reference", str(reference)], capsys)
    assert (code, told["verdict"], told["run"]) == (3, "fail", 1)
    assert statuses_of(told)["drift"] == "failed"
    assert [(reason["code"], reason["where"]) for reason in told["reasons"]] == [
        ("ASSAY-K003", "drift")
    ]
    assert "no row of it can be read" in found["drift"]["evidence"]


def test_checks_begin_when_the_first_imports_are_done(small, tmp_path, monkeypatch, capsys):
    """Let the imports last until the source has been read, and two seconds more."""
    mark = tmp_path / "read"
    (tmp_path / "slow_to_load.py").write_text(
        "import pathlib, time\n"
        f"while not pathlib.Path({str(mark)!r}).exists():\n    time.sleep(0.02)\n"
        "time.sleep(2)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "libraries", lambda *_, **__: ("slow_to_load",))
    monkeypatch.setattr(Child, "has_answered", False)  # as if the source were large
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    answer, run_checks, seen = reading.answer, examination.run_checks, []

    def answered(*arguments, **named):
        value = answer(*arguments, **named)
        mark.touch()
        return value

    def look(*arguments):
        seen.extend(thread.name for thread in threading.enumerate())
        return run_checks(*arguments)

    monkeypatch.setattr(reading, "answer", answered)
    monkeypatch.setattr(examination, "run_checks", look)
    code, _, _ = ran(small, capsys)
    assert code == 0
    assert "MainThread" in seen
    assert "warm-imports" not in seen


def test_the_small_run_passes_when_nothing_is_planted(small, capsys):
    code, told, _ = ran(small, capsys)
    assert (code, told["verdict"], told["reasons"]) == (0, "pass", [])
    assert statuses_of(told)["drift"] == "skipped"
    assert {path.name for path in Path(told["path"], "models").iterdir()} == {
        f"{name}.pkl" for name in ("leakage", "shape", "values")
    }


def test_workers_end_with_a_parent_that_is_killed():
    code = (
        "import os, time; from pipelines.checking.engine import Processes\n"
        "if __name__ == '__main__':\n"
        "    pool = Processes(2); pool.map(abs, range(4))\n"
        "    print(*pool._pool._processes, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as parent:
        workers = [int(number) for number in parent.stdout.readline().split()]
        assert len(workers) == 2
        parent.kill()
        parent.stdout.read()  # ends when nobody holds the pipe any more
    assert not [number for number in workers if is_alive(number)]


def is_alive(number):
    path = Path(f"/proc/{number}/stat")
    return path.exists() and path.read_text().rpartition(")")[2].split()[0] != "Z"
