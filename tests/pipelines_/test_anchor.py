"""Re-anchoring: a signed decision, the newest one holds, and what it names is checked."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import runs

from pipelines import cli
from pipelines.run.request import Request, prepare
from pipelines.store import keys, reference_anchor
from pipelines.store.store import Store
from provenance.base.errors import AssayError
from provenance.ledger import entry

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: nights
name: nights
version: 1.0.0
status: active
servers:
  - {server: local, type: local, format: csv, path: a.csv}
schema:
  - name: nights
    properties:
      - {name: x, logicalType: integer}
customProperties:
  - {property: assay.reference, value: ref.csv}
"""
ROOT = Path(__file__).parents[2]


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(CONTRACT)
    for name in ("a", "b", "ref"):
        Path(f"{name}.csv").write_text("x\n" + "".join(f"{n}\n" for n in range(30)))
    return Store(tmp_path / "store")


def run(store, source="a.csv", **facts):
    """Commit a run that says, as a real one does, which anchor stood when it began."""
    stood = reference_anchor.standing(store, "nights").facts()
    return runs.committed(store, Path("c.yaml"), Path(source), anchor=stood, **facts)


def anchored(store, number, *more):
    return cli.main(["review", str(number), "--anchor", *more, "--store", str(store.folder)])


def reference(store, **given):
    made = prepare(Request(Path("c.yaml"), store.folder, **given))
    return [str(Path(path).resolve().relative_to(Path.cwd())) for path in made.reference]


def test_without_a_decision_the_contract_s_reference_holds(place):
    assert reference(place) == ["ref.csv"]
    run(place)
    assert reference(place) == ["ref.csv"]


def test_the_newest_decision_holds_and_a_person_s_reference_stands_over_it(place, capsys):
    first, second = run(place), run(place, "b.csv")
    assert anchored(place, first.seq, "--reason", "prices went up", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"schema": "assay.anchor/1", "run": 1, "entry": 3, "dataset": "nights"}
    clean = "store/runs/{:012}/clean/part-00000.parquet"
    assert reference(place) == [clean.format(first.seq)]
    assert place.ledger.read(3).facts["reason"] == "prices went up"
    assert reference(place, reference="b.csv") == ["b.csv"]
    for _ in range(3):
        run(place)
        assert reference(place) == [clean.format(first.seq)]
    anchored(place, second.seq)
    assert reference(place) == [clean.format(second.seq)]
    assert cli.main(["verify", "--store", str(place.folder)]) == 0
    assert cli.main(["ledger", "log", "--store", str(place.folder)]) == 0
    assert "the clean dataset of run 1 is the reference" in capsys.readouterr().out


def test_a_decision_that_comes_while_a_run_goes_on_is_not_lost(place):
    first = run(place)
    stood = reference_anchor.standing(place, "nights").facts()  # a run looks, and takes its time
    anchored(place, first.seq)
    runs.committed(place, Path("c.yaml"), Path("b.csv"), anchor=stood)
    assert reference_anchor.standing(place, "nights").entry.seq == 2
    run(place)
    assert reference_anchor.standing(place, "nights").entry.seq == 2


def test_another_dataset_s_decision_does_not_count(place):
    first = run(place)
    anchored(place, first.seq)
    assert reference_anchor.standing(place, "days").entry is None


def test_only_the_entries_since_the_last_run_are_read(place, monkeypatch):
    for _ in range(8):
        run(place)
    read, parse = [], entry.parse
    monkeypatch.setattr(entry, "parse", lambda content: read.append(1) or parse(content))
    assert reference_anchor.standing(place, "nights").entry is None
    assert len(read) <= 2


def test_a_reference_that_was_tampered_with_is_refused(place, capsys):
    first = run(place)
    anchored(place, first.seq)
    [path] = (place.run_folder(first.seq) / "clean").iterdir()
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(AssayError, match="ASSAY-L011"):
        reference(place)
    path.unlink()
    with pytest.raises(AssayError, match="ASSAY-L011"):
        reference(place)
    assert anchored(place, first.seq) == 4
    assert cli.main(["verify", "--store", str(place.folder)]) == 4
    assert "ASSAY-L011" in capsys.readouterr().out


def test_a_forged_decision_is_refused_and_verify_tells(place, capsys):
    first, second = run(place), run(place, "b.csv")
    anchored(place, first.seq)
    old = place.ledger.read(3)
    body = entry.canonical({**old.facts, "base": second.seq})
    bare = entry.Entry(old.seq, old.prev, old.key_id, body, b"", old.sig)
    whole = entry.Entry(old.seq, old.prev, old.key_id, body, bare.expected_leaf(), old.sig)
    place.ledger.path_of(3).write_bytes(whole.to_parquet())
    with pytest.raises(AssayError, match="ASSAY-L007"):
        reference(place)
    assert cli.main(["verify", "--store", str(place.folder)]) == 4
    capsys.readouterr()


def test_verify_tells_of_an_anchor_on_files_that_its_run_did_not_record(place, capsys):
    run(place)
    facts = {"schema": "assay.entry/1", "kind": "anchor", "time": "2026-01-01T00:00:00+00:00",
             "dataset": "nights", "base": 1, "by": "x", "reason": None,
             "files": [{"name": "clean/part-00000.parquet", "sha256": "0" * 64}]}  # fmt: skip
    place.ledger.append(keys.own(), {}, lambda _: facts)
    assert cli.main(["verify", "--store", str(place.folder)]) == 4
    assert "did not record" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("facts", "words"),
    [({"checked": False}, []), ({"rows": {"source": 30, "clean": 0, "quarantine": 30,
                                          "rejected": 0}}, []),
     ({}, ["--reason", "a\nb"]), ({}, ["--reason", "x" * 501])],
)  # fmt: skip
def test_what_cannot_be_trusted_is_not_anchored(place, facts, words, capsys):
    made = run(place, **facts)
    assert anchored(place, made.seq, *words) == 2
    assert "ASSAY-C014" in capsys.readouterr().err
    assert place.ledger.head().seq == made.seq


@pytest.mark.parametrize("words", [["--list"], ["--apply", "d.csv"]])
def test_odd_combinations_are_usage_errors(place, words, capsys):
    made = run(place)
    assert anchored(place, made.seq, *words) == 2
    assert cli.main(["review", "1", "--list", "--reason", "x", "--store", str(place.folder)]) == 2
    assert "ASSAY-C012" in capsys.readouterr().err


def test_a_stranger_s_verification_holds_too(place, tmp_path):
    first = run(place)
    anchored(place, first.seq)
    key = tmp_path / "key.pem"
    key.write_bytes(keys.own().public_pem())
    script = ROOT / "provenance" / "standalone_verify.py"
    command = [sys.executable, "-P", str(script), str(place.folder), "--key", str(key)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "holds\n")
