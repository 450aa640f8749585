"""The test set that a contract names: read by the same rules, recorded, fatal where it is met."""

import pyarrow.compute as pc
import pytest

from checks.contract import loader
from pipelines.checking.resume import Kept
from pipelines.run import examination, named_files, reading
from pipelines.run.request import Plan, Request, prepare
from pipelines.store.drift_memory import Memory
from provenance.base.errors import AssayError

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: held-out
version: 1.0.0
status: active
name: held-out
servers:
  - {server: here, type: local, path: data.csv, format: csv}
customProperties:
  - property: assay.checks
    value:
      labels: off
      outliers: off
      poison: off
      drift: off
      pii: off
      duplicates: {test: test.csv}
schema:
  - name: rows
    properties:
      - {name: x, logicalType: number}
      - {name: y, logicalType: number}
      - {name: z, logicalType: number}
      - {name: w, logicalType: string}
"""
HEAD = "x,y,z,w"
ROWS = [f"{n * 37 % 1009 / 7:.4f},{n * 53 % 997 / 3:.4f},{n * 71 % 991 / 11:.4f},w{n % 7}"
        for n in range(400)]  # fmt: skip


def _write(path, rows):
    path.write_text("\n".join([HEAD, *rows, ""]))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "contract.yaml").write_text(CONTRACT)
    _write(tmp_path / "data.csv", ROWS[:300])
    _write(tmp_path / "test.csv", ROWS[300:])
    return tmp_path


def _reasons(folder):
    contract = folder / "contract.yaml"
    work = folder / "work"
    plan = Plan("1", work, (str(folder / "data.csv"),), (), "serial")
    for part in (plan.out, plan.scratch):
        part.mkdir(parents=True)
    reading.read_sources(str(contract), list(plan.sources), [], str(plan.snapshot))
    kept = Kept(work / "resume")
    found = examination.run_checks(plan, loader.load(contract), Memory(), kept, {}).found
    return found.filter(pc.equal(found["rule"], "ASSAY-V020"))


def test_rows_that_are_in_the_test_set_fail_the_dataset(folder):
    _write(folder / "test.csv", [*ROWS[300:], *ROWS[10:20]])
    told = _reasons(folder)
    overall = told.filter(pc.is_null(told["row"]))
    assert overall["severity"].to_pylist() == ["error"]
    assert "10 of 110 rows of the test set" in overall["evidence"][0].as_py()
    assert told["row"].drop_null().to_pylist() == list(range(10, 20))


def test_a_fresh_test_set_is_told_and_fails_nothing(folder):
    assert _reasons(folder)["severity"].to_pylist() == ["info"]


def test_another_test_set_asks_for_another_run(folder):
    contract = loader.load(folder / "contract.yaml")
    first = named_files.digests(contract, lambda: None)
    _write(folder / "test.csv", ROWS[301:])
    assert set(first) == {"duplicates.test"}
    assert named_files.digests(contract, lambda: None) != first


def test_what_cannot_be_read_beside_the_source_is_called_by_its_role(folder):
    request = Request(folder / "contract.yaml", folder / "store", reference="gone.csv")
    with pytest.raises(AssayError, match="the reference: no such file") as caught:
        prepare(request)
    assert caught.value.where == "gone.csv"
    (folder / "odd.csv").write_text("a,b\n1,2\n")
    paths = [str(folder / "data.csv")], [str(folder / "odd.csv")]
    with pytest.raises(AssayError, match="the reference: missing: x, y, z, w"):
        reading.read_sources(request.contract, *paths, str(folder / "read"))
    (folder / "test.csv").write_text("a,b\n1,2\n")
    with pytest.raises(AssayError, match="the test set of duplicates: missing"):
        reading.read_sources(request.contract, paths[0], [], str(folder / "again"))


def test_no_test_set_and_one_behind_a_link_are_refused(folder, tmp_path_factory):
    request = Request(folder / "contract.yaml", folder / "store")
    (folder / "test.csv").unlink()
    with pytest.raises(AssayError, match="I014") as caught:
        prepare(request)
    assert caught.value.what == "the test set of duplicates: no such file"
    outside = tmp_path_factory.mktemp("outside") / "test.csv"
    _write(outside, ROWS)
    (folder / "test.csv").symlink_to(outside)
    with pytest.raises(AssayError, match="C010"):
        prepare(request)
