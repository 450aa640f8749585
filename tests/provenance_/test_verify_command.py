"""`assay verify` on a store whose ledger lost its end, or all of it."""

import argparse
import json

import pytest

from pipelines.commands import verify
from pipelines.store.store import Store
from provenance.base.errors import AssayError
from provenance.ledger import key_rotation, merkle, signing

TIME = "2026-01-01T00:00:00+00:00"


NO_ROWS = {"source": 0, "clean": 0, "quarantine": 0, "rejected": 0}


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Return a store with the runs 1 to 3, which have no files."""
    monkeypatch.delenv("ASSAY_PUBLIC_KEY", raising=False)
    monkeypatch.setenv("ASSAY_SIGNING_KEY", str(tmp_path / "key.pem"))
    signer, made = signing.load_or_make(tmp_path / "key.pem"), Store(tmp_path / "store")
    for number in (1, 2, 3):
        made.run_folder(number).mkdir(parents=True)
        made.run_folder(number).joinpath("lineage").mkdir()
        facts = {"kind": "run", "time": TIME, "outputs": [], "inputs": [], "rows": NO_ROWS,
                 "lineage": {"root": merkle.Tree().root().hex()}}  # fmt: skip
        first = key_rotation.first_facts(signer, TIME)
        made.ledger.append(signer, first, lambda _, facts=facts: facts)
    return made


@pytest.fixture
def verified(store, capsys):
    def told(run=None):
        given = {"row": None, "report": None, "checkpoint": None, "key": None}
        arguments = argparse.Namespace(store=str(store.folder), run=run, json=True, **given)
        code = verify.main(arguments)
        found = json.loads(capsys.readouterr().out)
        lists = [[(n["code"], n["message"]) for n in found[k]] for k in ("breaks", "warnings")]
        return code, *lists, found["runs"]

    return told


@pytest.mark.parametrize("run", [None, "latest", "2"])
def test_an_emptied_ledger_is_a_break_whatever_run_is_asked_for(store, verified, run):
    assert verified(run) == (0, [], [], 1 if run else 3)
    for path in store.ledger.entries_folder.iterdir():
        path.unlink()
    gone = [("ASSAY-L002", f"run {n} has no entry, the ledger is empty") for n in (1, 2, 3)]
    assert verified(run) == (4, gone, [], 0)


def test_a_cut_off_end_is_a_break_and_the_rest_is_still_looked_at(store, verified):
    for number in (2, 3):
        store.ledger.path_of(number).unlink()
    cut = [("ASSAY-L002", "run 3 has no entry, the ledger ends at 1")]
    (store.run_folder(1) / "stray").touch()
    stray = ("ASSAY-L011", "run 1: stray is a regular file that is not part of the run")
    assert verified("3")[:2] == (4, cut)
    for run in ("latest", None):
        code, breaks, _, runs = verified(run)
        assert (code, breaks, runs) == (4, [*cut, stray], 1)


def test_the_next_number_without_an_entry_is_a_warning(store, verified):
    why = "it died before it was committed, or the ledger's last entry was cut off"
    warning = f"run 4 has no entry: {why}; compare with a checkpoint kept elsewhere (--checkpoint)"
    store.run_folder(4).mkdir()
    assert verified() == (0, [], [("ASSAY-L009", warning)], 3)
    assert verified("latest") == (0, [], [("ASSAY-L009", warning)], 1)


def test_a_run_that_never_was_is_no_break(verified):
    with pytest.raises(AssayError) as caught:
        verified("9")
    assert caught.value.code == "ASSAY-C013"


def test_a_stray_file_and_a_gap_stop_nothing_unforeseen(store, verified):
    store.ledger.path_of(10**12 - 1).touch()
    _, breaks, _, _ = verified("latest")
    assert breaks[0] == ("ASSAY-L001", "entries 4 to 999999999998 are missing")
    (store.ledger.entries_folder / "+00000000002.parquet").touch()
    code, breaks, _, _ = verified("latest")
    assert (code, [told for told, _ in breaks]) == (4, ["ASSAY-L006"])


def test_one_break_is_one(store, capsys):
    (store.run_folder(1) / "stray").touch()
    given = dict.fromkeys(("run", "row", "report", "checkpoint", "key"))
    arguments = argparse.Namespace(store=str(store.folder), json=False, **given)
    assert verify.main(arguments) == 4
    printed = capsys.readouterr().out
    assert "\n1 break found: " in printed
    assert "inspect an unrecorded file" in printed
