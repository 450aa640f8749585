"""The stage of the rules: what it leaves, and that it fails closed."""

import json
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from checks.contract.loader import load
from checks.rules import one_pass
from pipelines.run import contract_rules
from provenance.rows.shards import Shard, read_table, write_shard
from provenance.rows.snapshot import Snapshot

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
name: people
version: 1.0.0
schema:
  - name: people
    quality:
      - {metric: rowCount, mustBeGreaterThan: 2}
      - {type: sql, name: sane mean, query: "SELECT avg(age) FROM ${table}", mustBeLessThan: 50}
    properties:
      - {name: id, primaryKey: true}
      - name: age
        logicalType: integer
        logicalTypeOptions: {minimum: 18}
        quality:
          - {metric: nullValues, mustBeLessThan: 50, unit: percent, severity: warning}
      - name: y
        quality: [{metric: invalidValues, arguments: {validValues: [good, bad]}, mustBe: 0}]
        customProperties: [{property: assay.role, value: label}]
"""
ROWS = {
    "id": ["a", "b", "b", None, "e"],
    "age": [17, 18, 99, None, 1000],
    "y": ["good", "bad", None, "goood", "good"],
}
PROGRAM = """
import os, socket, sys
from pathlib import Path

def refuse(*a, **k):
    os._exit(9)

socket.socket.connect = refuse
from checks.contract.loader import load
from provenance.rows.snapshot import Snapshot
contract = load(Path(sys.argv[1]))
assert "great_expectations" not in sys.modules
from pipelines.run import contract_rules
contract_rules.evaluate(contract, Snapshot.load(Path(sys.argv[2])), Path(sys.argv[3]))
sys.stdout.flush()
sys.stderr.flush()
os._exit(0)
"""


@pytest.fixture
def setting(tmp_path):
    """Return (contract, snapshot, empty folder)."""
    path = tmp_path / "contract.yaml"
    path.write_text(CONTRACT)
    table = pa.table(
        {n: pa.array(v, pa.int64() if n == "age" else pa.string()) for n, v in ROWS.items()}
    )
    rows = np.arange(100, 105)
    ref = write_shard(tmp_path, Shard(0, table, rows, np.zeros((5, 32), np.uint8)))
    snapshot = Snapshot(str(tmp_path), 5, (), (ref,), (), None, None, None, ())
    (tmp_path / "out").mkdir()
    return load(path), snapshot, tmp_path / "out"


def test_findings_are_numbered_by_the_ordinals_of_ingest(setting):
    found = read_table(contract_rules.evaluate(*setting).findings).to_pylist()
    got = {(item["row"], item["rule"], item["column"]) for item in found}
    assert got == {
        (100, "age.minimum", "age"),
        (101, "ASSAY-V009", "id"),
        (102, "ASSAY-V009", "id"),
        (103, "ASSAY-V010", "id"),
        (102, "ASSAY-V013", "y"),
        (103, "ASSAY-V013", "y"),
        (None, "sane mean", None),
    }
    said = {item["row"]: item["evidence"] for item in found if item["rule"] == "ASSAY-V013"}
    assert said[102].startswith("y is missing")
    assert said[103].startswith("y is not one of its 2 valid values")
    assert {item["check"] for item in found} == {"contract"}


def test_what_the_stage_leaves(setting):
    contract, _, out = setting
    contract_rules.evaluate(*setting)
    left = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert left == [
        "expectations/data_docs/index.html",
        "expectations/data_docs/suite.html",
        "expectations/result.json",
        "expectations/suite.json",
        "findings-contract.parquet",
    ]
    assert not [path for path in out.iterdir() if path.name.startswith("spill-")]
    result = json.loads((out / "expectations" / "result.json").read_text())
    assert result["success"] is False
    assert result["meta"]["contract_sha256"] == contract.sha256
    assert result["meta"]["sql_rules"] == [
        {"rule": "sane mean", "bound": "must be less than 50", "success": False}
    ]
    kept = {
        item["expectation_config"]["meta"]["rule"]: item["success"] for item in result["results"]
    }
    assert kept["rowCount"]
    assert kept["age.nullValues"]
    assert not kept["age.minimum"]


def test_counts_that_disagree_are_an_error(setting, monkeypatch):
    true = one_pass.offending_each

    def forgetful(connection, conditions):
        found, failed = true(connection, conditions)
        return {number: rows[1:] for number, rows in found.items()}, failed

    monkeypatch.setattr(one_pass, "offending_each", forgetful)
    found = read_table(contract_rules.evaluate(*setting).findings).to_pylist()
    told = [item for item in found if item["rule"] == "ASSAY-K016"]
    assert len(told) == 5
    assert {(item["row"], item["severity"]) for item in told} == {(None, "error")}
    assert any("the pass found 1 rows, the suite 2" in item["evidence"] for item in told)


def test_pages_that_cannot_be_drawn_hide_no_finding(setting, monkeypatch):
    monkeypatch.setattr(contract_rules.data_docs, "_offline", lambda page: page / 0)
    found = read_table(contract_rules.evaluate(*setting).findings).to_pylist()
    assert len([item for item in found if item["rule"] == "ASSAY-V013"]) == 2
    (told,) = [item for item in found if item["rule"] == "ASSAY-K001"]
    assert (told["severity"], told["row"]) == ("warning", None)


def test_two_runs_leave_the_same_findings(setting, tmp_path):
    contract, snapshot, out = setting
    (tmp_path / "again").mkdir()
    first = contract_rules.evaluate(contract, snapshot, out)
    second = contract_rules.evaluate(
        contract, snapshot, tmp_path / "again", budget=one_pass.Budget(memory="200MB", threads=1)
    )
    assert first.findings.read_bytes() == second.findings.read_bytes()


def test_a_child_says_nothing_and_calls_nobody(setting, tmp_path):
    contract, snapshot, out = setting
    snapshot.save()
    paths = [contract.path, str(tmp_path / "snapshot.json"), str(out)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *paths],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environment,
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert [line for line in done.stderr.splitlines() if "Warning" not in line] == []
    assert not [path for path in tmp_path.iterdir() if path.name in ("gx", "great_expectations")]
