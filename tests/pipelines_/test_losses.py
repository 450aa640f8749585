"""A class, a source or a group that would lose most of its rows is never lost in silence."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import runs

from checks.contract import loader
from checks.kit import findings
from pipelines.cli import main
from pipelines.run import losses
from pipelines.store.store import Store
from provenance.rows.shards import ROW, Shard, write_shard, write_table
from provenance.rows.snapshot import Snapshot

HEAD = """
apiVersion: v3.1.0
kind: DataContract
name: plants
schema:
  - name: plants
    properties:
      - {name: size, logicalType: integer}
      - name: by
        logicalType: string
        customProperties: [{property: assay.role, value: source}]
"""
LABEL = """\
      - name: kind
        logicalType: string
        customProperties: [{property: assay.role, value: label}]
"""
LISTED = """\
        quality: [{metric: invalidValues, arguments: {validValues: [oak, elm, fir]}, mustBe: 0}]
"""


def contract(folder, label=LABEL):
    folder.mkdir(exist_ok=True)
    path = folder / "contract.yaml"
    path.write_text(HEAD + label)
    return path


def snapshot(folder, kinds, owners=None, *, cut=1, held=(), name="kind"):
    """Return rows of these labels and sources in `cut` shards; those in `held` were not cast."""
    table = pa.table({"size": pa.array(range(len(kinds)), pa.int64()),
                      "by": pa.array(owners or ["a"] * len(kinds), pa.string()),
                      name: pa.array(kinds)})  # fmt: skip
    rows = np.arange(len(kinds))
    read = np.setdiff1d(rows, held)
    refs = []
    for number, part in enumerate(np.array_split(read, cut)):
        digests = np.zeros((len(part), 32), np.uint8)
        refs.append(write_shard(folder, Shard(number, table.take(pa.array(part)), part, digests)))
    path = None
    if len(held):
        path = str(folder / "held.parquet")
        texts = pa.table([table[n].cast(pa.string()) for n in table.column_names],
                         names=table.column_names).take(pa.array(held))  # fmt: skip
        write_table(texts.append_column(ROW, pa.array(held, pa.int64())), folder / "held.parquet")
    return Snapshot(str(folder), len(kinds), (), tuple(refs), (), path, None, None, ())


def lost(folder, kinds, rows, *, label=LABEL, more=(), **given):
    """Return the findings if these rows are held by one rule, as (severity, column, evidence)."""
    held = findings.make(np.array(rows, np.int64), check="labels", rule="labels.contradicted")
    found = findings.concat([held, *more])
    promised = loader.load(contract(folder, label))
    made = losses.find(snapshot(folder, kinds, **given), promised, found, np.array(rows, np.int64))
    assert set(made["rule"].to_pylist()) <= {"ASSAY-K025"}
    assert made["row"].null_count == len(made)
    return [(one["severity"], one["column"], one["evidence"]) for one in made.to_pylist()]


KINDS = ["oak"] * 40 + ["elm"] * 10 + ["fir"] * 4


@pytest.mark.parametrize(
    ("rows", "severities"),
    [
        (range(40, 46), ["error"]),  # six of ten
        (range(40, 45), []),  # half is not more than half
        (range(50, 53), ["error"]),  # three of four
        (range(20), []),
        (range(0), []),
    ],
)
@pytest.mark.parametrize("cut", [1, 3])
def test_more_than_half_of_a_class_is_one_error(tmp_path, rows, severities, cut):
    made = lost(tmp_path, KINDS, list(rows), cut=cut)
    assert [one[0] for one in made] == severities
    assert {one[1] for one in made} <= {"kind"}


def test_the_evidence_names_class_counts_and_cause(tmp_path):
    [(_, _, evidence)] = lost(tmp_path, KINDS, range(40, 54))
    assert "'elm' (10 of 10 rows)" in evidence
    assert "'fir' (4 of 4 rows)" in evidence
    assert "labels.contradicted" in evidence


def test_rows_that_were_never_cast_count_too(tmp_path):
    [(severity, column, _)] = lost(tmp_path, KINDS, range(40, 50), held=np.arange(40, 50))
    assert (severity, column) == ("error", "kind")


def test_tiny_classes_are_a_warning(tmp_path):
    kinds = [*KINDS, "oka", "oakk", "oakk", "x", "x", "x"]
    made = lost(tmp_path, kinds, range(54, 60))
    assert [one[:2] for one in made] == [("warning", "kind")]
    assert made[0][2].startswith("3 classes")
    assert "oka" not in made[0][2]


def test_what_the_contract_does_not_list_is_a_warning(tmp_path):
    kinds = [*KINDS, *["ash"] * 12]
    made = lost(tmp_path, kinds, range(40, 66), label=LABEL + LISTED)
    assert [one[:2] for one in made] == [("error", "kind"), ("warning", "kind")]
    assert "ash" not in made[1][2]
    slips = lost(
        tmp_path / "few", ["oak"] * 900 + ["aok"] * 5, range(900, 905), label=LABEL + LISTED
    )
    assert slips == []


def test_misspelt_rows_do_not_belong_to_the_class_they_show(tmp_path):
    rows = np.arange(54, 60)
    odd = findings.make(rows, check="values", rule="ASSAY-V008", column="kind")
    assert lost(tmp_path, [*KINDS, *["Oak "] * 6], rows, more=[odd]) == []


def test_sources_are_counted_and_never_named(tmp_path):
    owners = ["ann"] * 30 + ["bob"] * 24
    [(severity, column, evidence)] = lost(tmp_path, ["oak", "elm"] * 27, range(30, 50),
                                          owners=owners)  # fmt: skip
    assert (severity, column) == ("error", "by")
    assert "bob" not in evidence
    assert "20 of 24 rows" in evidence


PRIVATE = LABEL.replace("value: label}", "value: label}, {property: assay.pii, value: redact}")


@pytest.mark.parametrize(
    ("label", "name"),
    [(PRIVATE, "kind"), (LABEL.replace("name: kind", "name: surname"), "surname")],
)
def test_private_classes_are_counted_and_never_named(tmp_path, label, name):
    [(severity, column, evidence)] = lost(tmp_path, KINDS, range(40, 50), label=label, name=name)
    assert (severity, column) == ("error", name)
    assert "elm" not in evidence
    assert "10 of 10 rows" in evidence


def test_a_quantity_has_no_classes(tmp_path):
    label = LABEL.replace("logicalType: string", "logicalType: number")
    made = lost(tmp_path, [float(n // 5) for n in range(60)], range(25), label=label)
    assert made == []


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def decide(store, capsys, *lines):
    """Apply decisions to run 1 and release it; return the exit code and the codes of reasons."""
    path = store.folder.parent / "decisions.csv"
    path.write_text("\n".join(["row,decision,value", *lines]) + "\n")
    main(["review", "1", "--apply", str(path), "--store", str(store.folder)])
    capsys.readouterr()
    code = main(["release", "1", "--store", str(store.folder), "--json"])
    made = json.loads(capsys.readouterr().out)
    return code, [reason["code"] for reason in made["reasons"]]


def test_a_release_fails_until_a_person_has_decided(store, capsys, tmp_path):
    source = tmp_path / "plants.csv"
    lines = [f"{n},a,{kind}" for n, kind in enumerate(["oak"] * 200 + ["elm"] * 10)]
    source.write_text("\n".join(["size,by,kind", *lines]) + "\n")
    held = findings.make(np.arange(200, 210), check="labels", rule="labels.contradicted")
    before = findings.make(None, check=losses.CHECK, rule=losses.RULE, column="kind")
    runs.committed(store, contract(tmp_path), source, found=[held, before])
    assert decide(store, capsys, "200,release,", "201,reject,") == (1, ["ASSAY-K025"])
    rest = [f"{row},reject," for row in range(202, 210)]
    assert decide(store, capsys, *rest[:3]) == (0, [])  # five of ten are left
    assert decide(store, capsys, *rest) == (0, [])
    found = store.reader(store.runs()[-1]).tables("findings")
    assert not any(pc.any(pc.equal(part["check"], losses.CHECK)).as_py() for part in found)
