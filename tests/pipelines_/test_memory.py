"""What the ledger remembers of a dataset's nights: each once, in order, and only while it holds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.commands import verify
from pipelines.store import drift_memory, keys
from pipelines.store.drift_memory import Memory
from pipelines.store.store import Store
from provenance.base.errors import AssayError
from provenance.ledger import compaction, entry, key_rotation

NOW = "2026-01-01T00:00:00+00:00"
ANCHOR = [{"name": "r", "sha256": "a" * 64}]


def appended(store, night, dataset="d", anchor=ANCHOR, kept=None):
    """Append the entry of a night as a run does."""
    signer = keys.own(make=True)
    past = Memory.of(store, dataset)
    left = past.facts(anchor, {"drift": {"level": night}} if kept is None else kept)
    facts = {"kind": "run", "dataset": dataset, "time": NOW, "inputs": [{"sha256": f"{night:064}"}],
             "memory": left, "anchor": {"entry": None, "head": 0}, "outputs": []}  # fmt: skip
    return store.ledger.append(signer, key_rotation.first_facts(signer, NOW), lambda _: facts)


def told(store, tonight=999, dataset="d", anchor=ANCHOR):
    found = Memory.of(store, dataset).histories(anchor, [{"sha256": f"{tonight:064}"}])
    return [night["level"] for night in found.get("drift", ())]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def test_an_empty_ledger_remembers_nothing(store):
    assert told(store) == []
    assert not store.folder.exists()


def test_each_night_once_in_order_of_its_own_dataset_and_reference(store):
    other = [{"name": "r", "sha256": "b" * 64}]
    for night in (1, 2, 2, 3, 1):
        appended(store, night)
        appended(store, night + 50, dataset="e")
    appended(store, 4, anchor=other)
    appended(store, 5)
    assert told(store) == [1, 2, 3, 5]
    assert told(store, dataset="e") == [51, 52, 53]
    assert told(store, anchor=other) == [4]
    assert told(store, dataset="f") == []


def test_a_night_run_again_is_judged_by_the_nights_before_it(store):
    for night in range(5):
        appended(store, night)
    appended(store, 2)
    assert told(store, tonight=2) == [0, 1]
    assert told(store, tonight=0) == []


def test_a_night_without_a_memory_does_not_break_the_chain(store):
    appended(store, 1)
    appended(store, 2, kept={})
    appended(store, 3)
    assert told(store) == [1, 3]


def test_history_is_bounded_and_survives_compaction(store, monkeypatch):
    monkeypatch.setattr(drift_memory, "RUNS", 12)
    for night in range(15):
        appended(store, night)
        if night == 8:
            compaction.compact(store.ledger, keys.own(), NOW)
    assert told(store) == list(range(3, 15))


def test_only_the_dataset_s_own_entries_are_read(store, monkeypatch):
    for night in range(6):
        appended(store, night)
        for other in range(5):
            appended(store, 10 * night + other, dataset=f"other{other}")
    read, parse = [], entry.parse
    monkeypatch.setattr(entry, "parse", lambda content: read.append(1) or parse(content))
    assert told(store) == [0, 1, 2, 3, 4, 5]
    assert len(read) <= 6 + 6


def forged(store, number, **facts):
    """Write an entry anew with other facts, its digest right and its signature the old one's."""
    old = store.ledger.read(number)
    body = entry.canonical({**old.facts, **facts})
    bare = entry.Entry(old.seq, old.prev, old.key_id, body, b"", old.sig)
    whole = entry.Entry(old.seq, old.prev, old.key_id, body, bare.expected_leaf(), old.sig)
    store.ledger.path_of(number).write_bytes(whole.to_parquet())


@pytest.mark.parametrize(("number", "code"), [(2, "L005"), (4, "L007")])
def test_a_forged_memory_is_refused_by_the_next_run_and_by_verify(store, number, code, capsys):
    for night in range(4):
        appended(store, night)
    left = store.ledger.read(number).facts["memory"]
    forged(store, number, memory={**left, "checks": {"drift": {"level": 0}}})
    with pytest.raises(AssayError, match=f"ASSAY-{code}"):
        Memory.of(store, "d")
    keys.own()
    given = type("Arguments", (), {"store": str(store.folder), "run": None, "row": None,
                                   "report": None, "checkpoint": None, "key": None,
                                   "json": True})  # fmt: skip
    assert verify.main(given()) == 4
    capsys.readouterr()


def test_an_edited_or_missing_night_is_refused(store):
    for night in range(4):
        appended(store, night)
    path = store.ledger.path_of(2)
    content = path.read_bytes()
    place = content.index(b'"level"')
    path.write_bytes(content[: place + 8] + b"9" + content[place + 9 :])
    with pytest.raises(AssayError, match=r"ASSAY-L00[34]"):
        Memory.of(store, "d")
    path.unlink()
    with pytest.raises(AssayError, match="ASSAY-L001"):
        Memory.of(store, "d")


def test_a_ledger_of_another_key_remembers_nothing_to_this_one(store, monkeypatch, tmp_path):
    appended(store, 1)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "else"))
    with pytest.raises(AssayError, match="ASSAY-L007"):
        Memory.of(store, "d")


def test_memory_goes_on_after_a_change_of_key(store, tmp_path):
    appended(store, 1)
    from provenance.ledger import signing

    old, new = keys.own(), signing.load_or_make(tmp_path / "new.pem")
    store.ledger.hand_over(old, new, NOW)
    assert told(store) == [1]


CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: nights
name: nights
version: 1.0.0
status: active
schema:
  - name: nights
    properties:
      - {name: x, logicalType: number}
customProperties:
  - {property: assay.reference, value: reference.parquet}
  - {property: assay.checks, value: {labels: off, outliers: off, poison: off, duplicates: off,
     leakage: off, pii: off, disclosure: off, shape: off, values: off, sources: off}}
"""


def ran(tmp_path, rng, shift):
    """Run one night through the command line; returns its object, exit code and what it told."""
    pd.DataFrame({"x": rng.normal(shift, 1, 1_000)}).to_parquet(tmp_path / "n.parquet")
    command = [str(Path(sys.executable).parent / "assay"), "run", "c.yaml", "--direct", "--json",
               "--source", "n.parquet", "--retrain-exit", "10"]  # fmt: skip
    environment = {**os.environ, "ASSAY_RETRAIN": "signals.jsonl"}
    done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True, env=environment,
                          check=False)  # fmt: skip
    return json.loads(done.stdout), done.returncode


@pytest.mark.long
def test_a_slow_drift_through_the_command_line(tmp_path):
    """A quarter of a standard deviation: no error on one night, one after eight of them."""
    rng = np.random.default_rng(0)
    (tmp_path / "c.yaml").write_text(CONTRACT)
    pd.DataFrame({"x": rng.normal(size=4_000)}).to_parquet(tmp_path / "reference.parquet")
    first, code = ran(tmp_path, rng, 0.25)
    assert (first["verdict"], code) == ("pass", 0)
    store = Store(tmp_path / "assay-store")
    left = store.ledger.head().facts["memory"]
    assert abs(left["checks"]["drift"]["streams"]["x"]["shift"][0] - 0.25) < 0.15
    anchor = [{"sha256": digest} for digest in left["reference"]]
    for night in range(6):  # six nights more, as a run leaves them
        appended(store, night, dataset="nights", anchor=anchor, kept=left["checks"])
    last, code = ran(tmp_path, rng, 0.25)
    assert (last["verdict"], code) == ("fail", 10)
    assert [reason["code"] for reason in last["reasons"]] == ["ASSAY-K017"]
    assert "since run 7" in last["reasons"][0]["message"]
    [line] = (tmp_path / "signals.jsonl").read_text().splitlines()
    assert json.loads(line)["columns"] == ["x"]
