"""A contract revised by decisions: widened, lowered, raised, or left to a person, and only so."""

import csv
import dataclasses
import decimal
import json
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from checks.contract.loader import load
from checks.kit.contract_model import Rule
from pipelines import cli
from pipelines.proposal import history, revise, yaml_edit
from pipelines.proposal.history import Reviewed
from pipelines.store import commit
from pipelines.store.store import Store
from provenance.base.errors import AssayError
from provenance.ledger.run_reader import RunReader

HEAD = """\
apiVersion: v3.1.0
kind: DataContract
id: people
version: 1.0.0
status: active
name: people
servers:
  - {server: here, type: local, path: in.csv, format: csv}
customProperties:
  - property: assay.checks
    value: {labels: off, outliers: off, poison: off, drift: off, pii: off, duplicates: off,
            disclosure: off, sources: off, leakage: off, values: off}
schema:
  - name: people
    properties:
"""
BODY = """\
      - name: id  # kept
        logicalType: integer
        primaryKey: true
      - name: age
        logicalType: integer
        logicalTypeOptions: {minimum: 18, maximum: 70}
      - name: city
        logicalType: string
        quality:
          - metric: invalidValues
            arguments:
              validValues: [Oslo, "it's",
                            Rome]
            mustBe: 0
          # unsure: few rows
          - {metric: nullValues, mustBe: 0, severity: warning}
      - name: kind
        logicalType: string
        quality:
          - metric: invalidValues
            arguments:
              validValues:
                - a
                - b
            mustBe: 0
      - {name: day, logicalType: date, required: true, logicalTypeOptions: {maximum: "2026-03-10"}}
      - name: note
        logicalType: string
        logicalTypeOptions: {maxLength: 5, pattern: "^[a-z]*$"}
      - name: secret
        logicalType: number
        logicalTypeOptions: {maximum: 10}
        customProperties:
          - {property: assay.role, value: quasi_identifier}
"""
COLUMNS = ["id", "age", "city", "kind", "day", "note", "secret"]
# of each row, what is odd in it and what is decided
ODD = {
    3: ({"age": "93"}, "release"),
    4: ({"age": "88"}, "release"),
    5: ({"age": "970"}, "reject"),
    6: ({"city": "Lima"}, "release"),
    7: ({"city": "a@b.example.org"}, "reject"),
    8: ({"kind": "c"}, "release"),
    9: ({"day": "2026-04-02"}, "release"),
    10: ({"day": ""}, "release"),
    11: ({"note": "abcdefgh"}, "release"),
    12: ({"note": "A"}, "release"),
    13: ({"secret": "71.5"}, "release"),
    14: ({"city": ""}, "reject"),
    15: ({"kind": "d"}, None),
}


def rows(count, odd):
    for n in range(count):
        plain = {"id": n, "age": 20 + n % 40, "city": ["Oslo", "Rome"][n % 2], "kind": "ab"[n % 2],
                 "day": "2026-03-01", "note": "abc"[: n % 4], "secret": n % 9 + 0.5}  # fmt: skip
        yield {**plain, **odd.get(n, ({}, None))[0]}


def write(path, count, odd):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows(count, odd))


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """The folder of the key that signed the store."""
    return str(tmp_path_factory.mktemp("config"))


@pytest.fixture(autouse=True)
def own_key(config, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", config)


@pytest.fixture(scope="module")
def place(tmp_path_factory, config):
    """A store with a run whose odd rows were decided on."""
    folder = tmp_path_factory.mktemp("revise")
    (folder / "c.yaml").write_text(HEAD + BODY)
    write(folder / "in.csv", 200, ODD)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("XDG_CONFIG_HOME", config)
        store = ["--store", "store"]
        assert cli.main(["run", "c.yaml", "--direct", "--engine", "serial", *store]) in (0, 1)
        decided = [f"{row},{word}" for row, (_, word) in ODD.items() if word]
        (folder / "d.csv").write_text("row,decision\n" + "\n".join(decided) + "\n")
        assert cli.main(["review", "1", "--apply", "d.csv", *store]) == 0
        yield folder


def asked(capsys, *words):
    capsys.readouterr()
    store = [] if "--store" in words else ["--store", "store"]
    code = cli.main(["init", *words, *store, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_decisions_widen_lower_and_raise(place, capsys):
    code, told = asked(capsys, "--from", "1", "-o", "new.yaml")
    assert code == 0, told
    assert (told["schema"], told["run"]) == ("assay.init/1", 1)
    does = {(c["column"], c["rule"].rpartition(".")[2]): c["does"] for c in told["changes"]}
    assert does == {
        ("age", "maximum"): "widened",
        ("city", "validValues"): "widened",
        ("city", "nullValues"): "raised",
        ("kind", "validValues"): "widened",
        ("day", "maximum"): "widened",
        ("day", "ASSAY-V010"): "dropped",
        ("note", "maxLength"): "widened",
    }
    before, after = load(place / "c.yaml"), load(place / "new.yaml")
    rules = {(rule.column, rule.kind): rule for rule in after.rules}
    assert rules["age", "maximum"].params["value"] == 93
    assert after.column("city").valid_values == ("Oslo", "it's", "Rome", "Lima")
    assert after.column("kind").valid_values == ("a", "b", "c")
    assert rules["day", "maximum"].params["value"] == "2026-04-30"  # the month's end, not the day
    assert not after.column("day").spec.required
    assert rules["note", "maxLength"].params["value"] == 8
    assert rules["city", "nullValues"].severity == "error"
    assert (after.checks, after.source) == (before.checks, before.source)
    notes = " ".join(told["notes"])
    assert "'secret', secret.maximum: 1 row released, but the column is protected" in notes
    assert "'note', note.pattern: cannot be lowered in place" in notes


def test_all_else_stays_as_it_was_written(place, capsys):
    asked(capsys, "--from", "latest", "-o", "again.yaml")
    old, new = ((place / name).read_text() for name in ("c.yaml", "again.yaml"))
    lines = new.splitlines()
    assert lines[0].startswith("# Revised by `assay init --from 1`: 7 rules")
    assert "- name: id  # kept" in new
    assert "# unsure" not in new
    comments = [line.strip() for line in lines if line.strip().startswith("# run 1:")]
    assert len(comments) == 7
    assert "# run 1: 2 violating rows released, 1 rejected; widened" in comments
    kept = [line for line in old.splitlines() if line in lines]
    assert len(old.splitlines()) - len(kept) == 6  # of the rules, and the doubt
    assert "71.5" not in new
    assert "93" in new  # an ordinary column's bound
    assert "a@b.example.org" not in new


@pytest.mark.usefixtures("place")
def test_nothing_is_written_over(capsys):
    assert asked(capsys, "--from", "1", "-o", "once.yaml")[0] == 0
    code, told = asked(capsys, "--from", "1", "-o", "once.yaml")
    assert (code, told["error"]["code"]) == (2, "ASSAY-C012")
    assert asked(capsys, "--from", "1", "-o", "once.yaml", "--force")[0] == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--from", "9"], "C013"),
        (["--from", "2"], "C013"),  # a review is no run
        (["--from", "x"], "C013"),
        (["--from", "1", "--store", "nowhere"], "C013"),
        (["in.csv", "--from", "1"], "C012"),
        (["--from", "1", "--label", "kind"], "C012"),
        (["--from", "1", "--schema"], "C012"),
    ],
)
def test_what_cannot_be_revised_is_refused(place, capsys, words, code):
    exit_code, told = asked(capsys, *words, "-o", "none.yaml")
    assert (exit_code, told["error"]["code"]) == (2, f"ASSAY-{code}")
    assert not (place / "none.yaml").exists()


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("runs/000000000001/contract.yaml", "L011"),
        ("runs/000000000001/quarantine/part-00000.parquet", "L011"),
        ("reviews/000000000002.parquet", "L011"),
        ("ledger/entries/000000000001.parquet", ("L003", "L004")),
    ],
)
def test_what_was_tampered_with_is_refused(place, capsys, name, code):
    path = place / "store" / name
    whole = path.read_bytes()
    for broken in (whole[:-9] + b"x" + whole[-8:], None):
        try:
            path.unlink()
            if broken is not None:
                path.write_bytes(broken)
            exit_code, told = asked(capsys, "--from", "1", "-o", "none.yaml")
        finally:
            path.write_bytes(whole)
        assert exit_code == 4
        assert not (place / "none.yaml").exists()
        if broken is not None:
            assert told["error"]["code"].removeprefix("ASSAY-") in code


@pytest.mark.parametrize("name", ["quarantine", "findings", "clean"])
def test_a_file_that_the_run_did_not_write_is_refused(place, capsys, name):
    folder = place / "store" / "runs" / "000000000001" / name
    planted = folder / "part-99999.parquet"
    planted.write_bytes((folder / "part-00000.parquet").read_bytes())
    try:
        exit_code, told = asked(capsys, "--from", "1", "-o", "none.yaml")
    finally:
        planted.unlink()
    assert (exit_code, told["error"]["code"]) == (4, "ASSAY-L011")


def test_a_run_whose_rules_were_not_evaluated_speaks_of_none(place, monkeypatch):
    store = Store(place / "store")
    entry = store.find("1")
    newest = history.reviewed(store, entry)
    assert len(history.past(store, newest)) >= 1
    late = dataclasses.replace(
        entry, body=entry.body.replace(b'"contract":"ok"', b'"contract":"timeout"')
    )
    assert late.facts["checks"]["contract"] == "timeout"
    assert not history._is_kept(store, late)
    monkeypatch.setattr(type(store.ledger), "read", lambda *_: late)
    with pytest.raises(AssayError, match="not evaluated"):
        history.reviewed(store, entry)


def of(folder, body, broken=(), **decided):
    """Return a reviewed run of a contract, without a store: (rule id, column) to rows."""
    path = folder / "x.yaml"
    path.write_text(HEAD + body)
    facts = {"rows": {"clean": 2000}, "outputs": commit.outputs_of(folder)}
    entry = SimpleNamespace(seq=7, facts=facts)
    files = RunReader(folder, entry)
    sets = [frozenset(decided.get(name, ())) for name in ("released", "rejected")]
    return Reviewed(entry, files, load(path), path.read_text(), dict(broken), *sets)


UNSURE = """\
      - name: x
        logicalType: string
        quality:
          # unsure: few rows
          - {metric: nullValues, mustBe: 0, severity: warning}
"""


@pytest.mark.parametrize(
    ("runs", "broken", "severity"),
    [(3, {}, "error"), (2, {}, "warning"), (3, {("x.nullValues", "x"): {4}}, "warning")],
)
def test_an_unsure_rule_is_raised_by_enough_runs(tmp_path, runs, broken, severity):
    run = of(tmp_path, UNSURE)
    older = dataclasses.replace(run, broken=broken)
    made = revise.revise(run, [run, *[older] * (runs - 1)])
    assert f"severity: {severity}" in made.text
    assert ("# unsure" in made.text) is (severity == "warning")


def test_a_rule_that_was_another_does_not_count(tmp_path):
    run = of(tmp_path, UNSURE)
    other = of(tmp_path, UNSURE.replace("nullValues, ", "missingValues, "))
    assert revise.revise(run, [run, other, other]).changes == ()


@pytest.mark.parametrize("word", ["severity: warning", 'severity: "warning"'])
def test_a_rule_is_lowered_where_it_says_no_severity_or_another(tmp_path, word):
    bodies = [
        UNSURE.replace(", severity: warning", ""),
        UNSURE.replace("          - {metric: nullValues, mustBe: 0, severity: warning}",
                       "          - metric: nullValues\n            mustBe: 0"),
        UNSURE.replace("severity: warning", word.replace("warning", "error")),
    ]  # fmt: skip
    for body in bodies:
        run = of(tmp_path, body, {("x.nullValues", "x"): {3}}, released=[3])
        made = revise.revise(run, [run])
        (tmp_path / "made.yaml").write_text(made.text)
        [rule] = load(tmp_path / "made.yaml").rules
        assert rule.severity == "warning"
        assert "# run 7: 1 violating row released, none rejected; severity lowered" in made.text


def test_an_edit_that_says_something_else_is_refused(tmp_path):
    run = of(tmp_path, UNSURE)
    change = revise.Change(run.contract.rules[0], None, "dropped", "")
    revise.require((), run.contract.rules, (change,))
    with pytest.raises(AssayError, match="E104"):
        revise.require(run.contract.rules, run.contract.rules, (change,))


def test_two_rules_on_one_line_are_left_to_a_person(tmp_path):
    both = "[{metric: nullValues, mustBe: 0}, {metric: duplicateValues, mustBe: 0}]"
    run = of(tmp_path, f"      - {{name: x, logicalType: string, quality: {both}}}\n")
    assert [yaml_edit.place_of(run.text, rule) for rule in run.contract.rules] == [None, None]


RANGE = """\
      - name: x
        logicalType: number
        quality:
          # unsure: few rows
          - type: custom
            engine: greatExpectations
            implementation: {type: expect_column_values_to_be_between, kwargs: {min_value: -999.0, max_value: 999.0}}
            severity: warning
"""  # noqa: E501


def test_a_range_that_becomes_sure_takes_the_ends_of_all_rows(tmp_path):
    runs = []
    for number, seed in enumerate((1, 2, 3)):
        folder = tmp_path / str(number)
        (folder / "clean").mkdir(parents=True)
        values = np.random.default_rng(seed).normal(50, 5, 2000)
        pq.write_table(pa.table({"x": values}), folder / "clean" / "part-00000.parquet")
        runs.append(of(folder, RANGE))
    made = revise.revise(runs[0], runs)
    (tmp_path / "made.yaml").write_text(made.text)
    [rule] = load(tmp_path / "made.yaml").rules
    assert rule.severity == "error"
    low, high = rule.params["min_value"], rule.params["max_value"]
    assert 0 <= low < 35
    assert 65 < high < 100
    assert "which also set the range" in made.text
    for run in runs:  # rows without a value tell nothing of its ends
        path = run.files.folder / "clean" / "part-00000.parquet"
        values = pq.read_table(path)["x"].to_pylist()
        pq.write_table(pa.table({"x": [*values[:500], *[None] * 1500]}), path)
    runs = [of(run.files.folder, RANGE) for run in runs]
    assert revise.revise(runs[0], runs).changes == ()


@pytest.mark.long
def test_runs_make_a_contract_from_few_rows_sure(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "few.csv", 60, {})
    assert cli.main(["init", "few.csv", "-o", "c.yaml"]) == 0
    for number in range(3):
        odd = {5: ({"age": str(60 + number)}, None)}  # no two sources are the same
        write(tmp_path / "in.csv", 1100, odd)
        words = ["--source", "in.csv", "--direct", "--engine", "serial", "--store", "store"]
        assert cli.main(["run", "c.yaml", *words]) == 0
    code, told = asked(capsys, "--from", "latest", "-o", "sure.yaml")
    assert code == 0
    assert {"raised"} == {change["does"] for change in told["changes"]}
    sure = load(tmp_path / "sure.yaml")
    assert sum(rule.severity == "warning" for rule in sure.rules) == 0
    assert "# unsure: no value is missing" not in (tmp_path / "sure.yaml").read_text()


def test_a_list_grows_by_decimals_as_numbers():
    rule = Rule("x.set", revise.SET, "x", {"value_set": [0.5]})
    column = SimpleNamespace(spec=SimpleNamespace(logical="number"))
    contract = SimpleNamespace(column=lambda _: column)
    made = revise.widened(rule, [decimal.Decimal("1.5"), decimal.Decimal("0.5")], contract)
    assert made == {"value_set": [0.5, 1.5]}
    assert {type(value) for value in made["value_set"]} == {float}
