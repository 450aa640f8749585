"""The main job through the command line: every file, count, exit code and story."""

import csv
import json
import re
import sys
from pathlib import Path

import few_rows
import pyarrow.parquet as pq
import pytest

from pipelines import cli

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "data_samples"


def table(folder):
    return pq.read_table(folder) if any(Path(folder).iterdir()) else None


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store that the tests of this module share."""
    return tmp_path_factory.mktemp("home") / "store"


@pytest.fixture(scope="module")
def assay(warm, store):
    """Run a command in a process of its own; returns (exit code, object, stderr)."""
    env = {"XDG_CONFIG_HOME": str(store.parent / "config"), "ASSAY_STORE": str(store)}

    def run(*words, expect=None):
        done = warm.run(*words, env=env, cwd=store.parent)
        if expect is not None:
            assert done.code == expect, (done.lines, done.errors)
        return done.code, done.told, done.errors

    return run


@pytest.fixture(scope="module")
def faulty(assay):
    """One run over the faulty sample that the tests of this module look at."""
    command = ["run", SAMPLES / "contract.yaml", "--direct"]
    code, told, errors = assay(*command)
    assert code == 1, errors
    return told


def test_rows_are_conserved_in_the_object_and_in_the_files(faulty):
    rows, path = faulty["rows"], Path(faulty["path"])
    assert rows["source"] == rows["clean"] + rows["quarantine"] + rows["rejected"]
    for fate in ("clean", "quarantine", "rejected"):
        found = table(path / fate)
        assert (len(found) if found else 0) == rows[fate]
    lineage = table(path / "lineage")
    assert sorted(lineage["source_row"].to_pylist()) == list(range(rows["source"]))


def test_clean_has_the_source_columns_and_nothing_else(faulty):
    with (SAMPLES / "loans.csv").open(encoding="latin-1", newline="") as file:
        header = next(csv.reader(file))
    assert table(Path(faulty["path"]) / "clean").column_names == header
    held = table(Path(faulty["path"]) / "quarantine")
    assert held.column_names == [*header, "_row", "_reasons"]
    assert all(reasons for reasons in held["_reasons"].to_pylist())


def test_the_faulty_sample_fails_for_reasons_that_name_what_to_do(faulty):
    assert faulty["verdict"] == "fail"
    assert any(reason["code"] == "ASSAY-V018" for reason in faulty["reasons"])
    assert all(reason["message"] for reason in faulty["reasons"])
    assert {check["status"] for check in faulty["checks"]} <= {"ok", "skipped"}


def test_store_has_what_the_design_promises(faulty):
    path = Path(faulty["path"])
    names = {p.name for p in path.iterdir()}
    assert names >= {"clean", "quarantine", "rejected", "findings", "lineage", "report.html",
                     "manifest.json", "expectations"}  # fmt: skip
    statement = json.loads((path / "manifest.json").read_text())
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert not list((path.parents[1] / "staging").glob("*"))


def test_the_report_says_what_the_clean_output_is_worth_and_what_the_triggers_do(faulty):
    page = (Path(faulty["path"]) / "report.html").read_text("utf-8")
    shown = page[page.index('<section id="worth"') :]
    shown = " ".join(re.sub(r"<[^>]+>", " ", shown[: shown.index("</section>")]).split())
    assert "the rows of the reference" in shown
    loss = re.search(r"log loss ([0-9.]+) ([0-9.]+) (\S+) to (\S+) (\w+)", shown)
    assert float(loss[2]) < float(loss[1])
    assert loss[5] == "better"
    stamped = re.search(r"(?<!, )note no ([0-9.]+)\S* % ([0-9.]+)\S* % ([0-9.]+)", shown)
    before, after, cleaned = map(float, stamped.groups())
    assert after > 90
    assert cleaned < 60
    assert before < 60


def test_verify_holds_and_sees_one_changed_byte(assay, faulty):
    assay("verify", expect=0)
    part = next((Path(faulty["path"]) / "clean").iterdir())
    whole = part.read_bytes()
    part.write_bytes(whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])
    _, told, _ = assay("verify", "latest", expect=4)
    assert [item["code"] for item in told["breaks"]] == ["ASSAY-L011"]
    part.write_bytes(whole)
    assay("verify", "latest", expect=0)


@pytest.mark.long  # the README does the same
def test_the_gate_starts_its_command_on_the_clean_sample(assay):
    code = "import os; assert os.listdir(os.environ['ASSAY_CLEAN']); raise SystemExit(7)"
    train = ["--", sys.executable, "-c", code]
    base = ["gate", SAMPLES / "contract.yaml"]
    clean = ["--source", SAMPLES / "loans_clean.csv"]
    code, _, errors = assay(*base, *clean, *train)
    assert code == 7, errors
    code, _, errors = assay(*base, *clean, *train)  # the same bytes again: the pass is reused
    assert code == 7
    assert "still holds" in errors


def test_the_gate_starts_nothing_on_data_that_fail(assay, tmp_path):
    contract = few_rows.write(tmp_path, 2, "{metric: rowCount, mustBeGreaterThan: 9}")
    touch = ["--", "touch", tmp_path / "started"]
    code, told, _ = assay("gate", contract, *touch)
    assert (code, told["verdict"]) == (1, "fail")
    assert not (tmp_path / "started").exists()


def test_review_and_release_tell_a_whole_story(assay, faulty, tmp_path):
    number, path = faulty["run"], Path(faulty["path"])
    held = table(path / "quarantine").to_pylist()
    uncast = {r["_row"] for r in held if any(x["check"] == "ingest" for x in r["_reasons"])}
    freed, refused, relabelled = [r for r in held if r["_row"] not in uncast][:3]
    value = "no" if relabelled["defaulted"] == "yes" else "yes"
    decisions = tmp_path / "decisions.csv"
    decisions.write_text(
        "row,decision,value,reason\n"
        f"{freed['_row']},release,,looked at the paper file\n"
        f"{refused['_row']},reject,,a copy\n"
        f"{relabelled['_row']},relabel,{value},typo\n"
    )
    assay("review", number, "--list", expect=0)
    assay("review", number, "--apply", decisions, expect=0)
    _, told, _ = assay("release", number)
    rows = told["rows"]
    assert rows["source"] == rows["clean"] + rows["quarantine"] + rows["rejected"]
    assert rows["clean"] == faulty["rows"]["clean"] + 2
    clean = {r["loan_id"]: r for r in table(Path(told["path"]) / "clean").to_pylist()}
    assert freed["loan_id"] in clean
    assert refused["loan_id"] not in clean
    assert clean[relabelled["loan_id"]]["defaulted"] == value
    _, story, _ = assay("explain", number, freed["_row"], expect=0)
    assert [fate["fate"] for fate in story["fates"]] == ["quarantine", "clean"]
    assert story["decisions"][0]["reason"] == "looked at the paper file"
    _, story, _ = assay("explain", told["run"], refused["_row"], expect=0)
    assert story["fate"] == "rejected"
    assay("verify", expect=0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("row,decision\n1,allow\n", "unknown decision"),
        ("row,decision\n99999999,reject\n", "has no row"),
        ("row\n1\n", "lacks the column"),
        ("row,decision\nx,reject\n", "must be a whole number"),
        pytest.param(
            f"row,decision\n{'9' * 5000},reject\n", "must be a whole number", id="5,000 digits"
        ),
        ("row,decision\n", "no decision"),
        ("row,decision,value\n1,relabel,perhaps\n", "not one of the valid values"),
    ],
)
def test_decisions_that_cannot_be_applied_are_refused(assay, faulty, store, tmp_path, text, says):
    path = tmp_path / "decisions.csv"
    path.write_text(text)
    entries = sorted((store / "ledger" / "entries").iterdir())
    words = ["review", faulty["run"], "--apply", path]
    code, _, errors = assay(*words)
    assert (code, "ASSAY-C014" in errors, says in errors) == (2, True, True), errors
    assert sorted((store / "ledger" / "entries").iterdir()) == entries


def test_init_then_run_on_a_table_of_ones_own(assay, tmp_path):
    rows = [f"{n},{(n * 37) % 90 + 1},{'ab'[n % 2]},{'yes' if (n * 37) % 90 > 44 else 'no'}"
            for n in range(400)]  # fmt: skip
    source = tmp_path / "own.csv"
    source.write_text("id,size,kind,label\n" + "\n".join(rows) + "\n")
    contract = tmp_path / "c.yaml"
    assay("init", source, "--label", "label", "-o", contract, expect=0)
    words = ["run", contract, "--source", source, "--store", tmp_path / "s", "--direct"]
    code, told, errors = assay(*words)
    assert code in (0, 1), errors
    assert told["rows"]["source"] == 400
    assay("init", source, "--label", "nope", "-o", tmp_path / "d.yaml", expect=2)
    assert not (tmp_path / "d.yaml").exists()


@pytest.mark.parametrize("words", [["fly"], ["run"], ["gate", "c.yaml"], ["explain", "1", "x"]])
def test_usage_errors_are_one_object_too(words, capsys, tmp_path):
    store = [] if words == ["fly"] else ["--store", str(tmp_path / "none")]
    assert cli.main([*words, *store, "--json"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert told["error"]["code"].startswith("ASSAY-C01")
    assert told["verdict"] == "error"
