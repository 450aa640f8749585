"""Datasets that can be read and must not teach: the code, the rows, and no other rows."""

from pathlib import Path

import pyarrow.compute as pc
import pytest
from bad_files import datasets

from checks.contract import loader
from checks.kit import findings, verdict
from checks.kit.protocol import Context
from pipelines.checking import engine
from pipelines.checking.examine import examine
from pipelines.run import contract_rules, fates, reading
from provenance.rows.shards import read_shard, read_table
from provenance.rows.snapshot import Snapshot

CASES = {case.name: case for case in datasets.cases()}
# the codes are those of values, shape, duplicates, leakage and the rules; models add nothing here
OFF = """\
customProperties:
  - {property: assay.checks, value: {labels: off, outliers: off, poison: off}}
"""


def judged(case, folder):
    """Return the findings on a case, and its verdict."""
    (folder / "made").mkdir()
    (folder / "models").mkdir()
    path = folder / "contract.yaml"
    path.write_text(case.contract + OFF)
    source = case.make(folder / "made")
    reading.read_sources(str(path), [source], [], str(folder / "read"))
    contract = loader.load(path)
    snapshot = Snapshot.load(folder / "read" / "source" / "snapshot.json")
    ruled = read_table(contract_rules.evaluate(contract, snapshot, folder).findings)
    schema = read_shard(snapshot.shards[0]).table.schema
    context = Context(contract, schema, snapshot.rows, None)
    serial = engine.Serial()
    checked = examine(context, list(snapshot.shards), serial, folder / "models").found
    found = findings.concat([fates.held_findings(snapshot), ruled, checked])
    rows = len(verdict.quarantined_rows(found))
    return found, verdict.decide(
        found, contract.policy, source=snapshot.rows, quarantine=rows, rejected=0
    )


@pytest.mark.parametrize("name", CASES)
def test_earns_its_code(tmp_path, name):
    case = CASES[name]
    found, decided = judged(case, Path(tmp_path))
    reasons = {notice.code for notice in decided.reasons}
    errors = found.filter(pc.equal(found["severity"], "error"))
    rows = {
        row: rule
        for row, rule in zip(errors["row"].to_pylist(), errors["rule"].to_pylist(), strict=True)
        if row is not None
    }
    if case.word == "quarantine":
        assert rows == dict.fromkeys(case.rows, f"ASSAY-{case.code}")
        assert reasons <= {"ASSAY-K011"}
    elif case.word == "fail":
        assert f"ASSAY-{case.code}" in reasons
    else:
        assert rows == {}
        assert decided.passed
        warned = set(found.filter(pc.equal(found["severity"], "warning"))["rule"].to_pylist())
        assert (f"ASSAY-{case.code}" in warned) is (case.word == "warn")
