"""One person, one pseudonym: in two columns, two runs, a release, and after a change of key."""

import json
import os
import subprocess
import sys

import pyarrow.dataset as ds
import pytest

from checks.contract import loader
from pipelines.store.store import Store
from provenance.base.errors import AssayError

ANNA, OLAF = "anna.berg@example.org", "olaf.lund@example.net"
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: letters
name: letters
version: 1.0.0
status: active
schema:
  - name: letters
    properties:
      - {{name: id, logicalType: integer, primaryKey: true}}
      - name: sender
        logicalType: string
        customProperties: [{{property: assay.pii, value: {action}}}]
      - name: receiver
        logicalType: string
        customProperties: [{{property: assay.pii, value: {action}}}]
      - name: letter
        logicalType: string
        customProperties: [{{property: assay.pii, value: quarantine}}]
customProperties:
  - {{property: assay.checks, value: {{pii: {options}}}}}
"""


def prepared(folder, options="{deny_file: names.txt}", action="pseudonymise"):
    lines = [f"{n},{ANNA},{OLAF},plain words number {n}" for n in range(80)]
    lines[3] = f"3,{OLAF},Anna.Berg@Example.org,plain words"
    lines[9] = f"9,{ANNA},{OLAF},dear Quentin Quist of the harbour"
    (folder / "in.csv").write_text("id,sender,receiver,letter\n" + "\n".join(lines) + "\n")
    (folder / "names.txt").write_text("Quentin Quist\n")
    (folder / "c.yaml").write_text(CONTRACT.format(options=options, action=action))


@pytest.fixture
def assay(warm, tmp_path):
    """Run a command; returns stdout and stderr."""

    def run(*words, code=0):
        done = warm.assay(*words, cwd=tmp_path, env={"ASSAY_STORE": str(tmp_path / "store")})
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout, done.stderr

    return run


def clean(folder, run):
    table = ds.dataset(Store(folder / "store").run_folder(run) / "clean").to_table()
    return {row["id"]: row for row in table.to_pylist()}


def test_one_person_has_one_pseudonym_wherever_and_whenever(assay, tmp_path):
    prepared(tmp_path)
    gate = ("gate", "c.yaml", "--source", "in.csv", "--", "true")
    _, said = assay(*gate)
    assert "not checked ASSAY-K020: personal names, places, dates and addresses" in said
    first = clean(tmp_path, 1)
    anna, olaf = first[0]["sender"], first[0]["receiver"]
    assert anna.startswith("<EMAIL_ADDRESS:")
    assert (first[3]["sender"], first[3]["receiver"]) == (olaf, anna)  # in two columns
    assert 9 not in first

    _, said = assay(*gate)
    assert "reusing run 1" in said
    assert "not checked ASSAY-K020" in said  # a pass that is used again says it again

    assay("ledger", "rotate")
    (tmp_path / "names.txt").write_text("Quentin Quist\nMarta Moen\n")
    _, said = assay(*gate)
    assert "still holds" not in said  # the deny list is another one
    runs = [entry.seq for entry in Store(tmp_path / "store").runs()]
    assert len(runs) == 2
    second = clean(tmp_path, runs[1])
    assert (second[0]["sender"], second[0]["receiver"]) == (anna, olaf)  # after a change of key

    (tmp_path / "d.csv").write_text("row,decision,value,reason\n9,redact,,a name\n")
    assay("review", runs[1], "--apply", "d.csv")
    third = clean(tmp_path, json.loads(assay("release", runs[1], "--json")[0])["run"])
    assert third[9]["letter"] == "dear <DENIED> of the harbour"
    assert third[9]["sender"] == anna
    assert {**third, 9: None} == {**second, 9: None}

    (tmp_path / "names.txt").unlink()
    told = json.loads(assay("release", runs[1], "--json", code=3)[0])
    assert told["error"]["code"] == "ASSAY-K003"
    assert_no_name_is_told(tmp_path / "store")


def assert_no_name_is_told(store):
    for path in store.rglob("*"):
        if path.is_file() and path.parent.name != "quarantine" and path.suffix != ".parquet":
            text = path.read_bytes().decode("latin-1")
            assert not any(word in text for word in ("Quentin", "Marta", "anna.berg", "olaf"))


def test_a_model_that_cannot_be_loaded_fails_the_run_and_no_text_gets_through(assay, tmp_path):
    prepared(tmp_path, "{model: models/none}", "redact")
    out, _ = assay("run", "c.yaml", "--source", "in.csv", "--direct", "--json", code=3)
    told = json.loads(out)
    assert told["verdict"] == "fail"
    assert told["reasons"][0]["code"] == "ASSAY-K003"
    assert "the folder does not exist" in told["reasons"][0]["message"]
    rows = clean(tmp_path, 1).values()
    assert {row["sender"] for row in rows} == {"<UNSCANNED>"}


def test_a_hit_that_is_left_in_the_clean_dataset_fails_the_run(tmp_path):
    prepared(tmp_path, "{}")
    code = (
        "import sys\nfrom pipelines.run import fates\nfates.protected = lambda table, _: table\n"
        "from pipelines.cli import main\n"
        "sys.exit(main(['run', 'c.yaml', '--source', 'in.csv', '--direct', '--json']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "ASSAY_STORE": str(tmp_path / "store"), "PYTHONSAFEPATH": "1"},
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    reasons = json.loads(done.stdout)["reasons"]
    assert {reason["code"] for reason in reasons} == {"ASSAY-K013"}
    assert "pii.EMAIL_ADDRESS in 80 rows" in reasons[0]["message"]


@pytest.mark.parametrize("option", ["model: ../model", "deny_file: ../names.txt",
                                    "deny_file: $HOME/names.txt", "model: ~/model/x",
                                    "deny_file: 'https://example.org/names.txt'"])  # fmt: skip
def test_paths_of_the_check_may_not_leave_the_root(tmp_path, option):
    folder = tmp_path / "inner"
    folder.mkdir()
    prepared(folder, f"{{{option}}}")
    with pytest.raises(AssayError) as caught:
        loader.load(folder / "c.yaml")
    assert caught.value.code == "ASSAY-C010"


def test_paths_are_relative_to_the_contract_and_packages_stay_names(tmp_path):
    prepared(tmp_path, "{model: en_core_web_sm, deny_file: names.txt}")
    options = loader.load(tmp_path / "c.yaml").options("pii")
    assert options == {"model": "en_core_web_sm", "deny_file": str(tmp_path / "names.txt")}
