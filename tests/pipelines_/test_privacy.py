"""What a run publishes of protected columns: noisy and paid for, or not at all."""

import dataclasses
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from checks.kit.contract_model import Column, Contract, Policy
from checks.kit.protocol import Panel
from pipelines.report import privacy_noise
from pipelines.store.store import Store
from provenance.rows.column_types import ColumnSpec

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: people
name: people
version: 1.0.0
status: active
schema:
  - name: people
    quality:
      - {{type: sql, name: mean age, query: "SELECT avg(age) FROM ${{table}}", mustBeLessThan: 1,
          severity: warning}}
    properties:
      - {{name: id, logicalType: integer, primaryKey: true}}
      - {{name: size, logicalType: number, logicalTypeOptions: {{minimum: 0}}}}
      - name: age
        logicalType: integer
        logicalTypeOptions: {{minimum: 0, maximum: 100}}
        quality:
          - {{metric: nullValues, mustBeLessThan: 90, unit: percent}}
          - type: custom
            engine: greatExpectations
            implementation:
              {{type: expect_column_mean_to_be_between, kwargs: {{min_value: 1}}}}
        customProperties:
          - {{property: assay.role, value: quasi_identifier}}
      - name: salary
        logicalType: number
        customProperties:
          - {{property: assay.pii, value: quarantine}}
      - name: town
        logicalType: string
        quality:
          - {{metric: invalidValues, arguments: {{validValues: [north, south, east, west]}},
              mustBe: 0}}
        customProperties:
          - {{property: assay.role, value: quasi_identifier}}
customProperties:
  - {{property: assay.policy, value: {{epsilon: {epsilon}, epsilon_total: {total}}}}}
"""
ROWS = 2_000


def table(seed):
    draw = np.random.default_rng(seed)
    rows = zip(draw.integers(20, 70, ROWS), draw.choice(["north", "south", "east"], ROWS),
               draw.normal(50, 5, ROWS), draw.lognormal(10, 0.3, ROWS), strict=True)  # fmt: skip
    lines = [f"{n},{s:.2f},{age},{pay:.2f},{town}" for n, (age, town, s, pay) in enumerate(rows)]
    lines[7] = "7,50.0,,31000.5,north"
    return "id,size,age,salary,town\n" + "\n".join(lines) + "\n"


def run(warm, folder, epsilon=0.5, total=0.75):
    (folder / "in.csv").write_text(table(1))
    (folder / "ref.csv").write_text(table(2))
    (folder / "c.yaml").write_text(CONTRACT.format(epsilon=epsilon, total=total))
    words = ["run", folder / "c.yaml", "--source", folder / "in.csv", "--reference",
             folder / "ref.csv", "--store", folder / "store", "--direct", "--json"]  # fmt: skip
    done = warm.assay(*words, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    entry = Store(folder / "store").ledger.read(told["run"])
    return told, Path(told["path"]), entry.facts


def charts(folder):
    page = (folder / "report.html").read_text()
    titles = re.findall(r"<title [^>]*>(\w+): reference and this run</title>", page)
    return page, set(titles)


@pytest.fixture(scope="module")
def nights(warm, tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    return [run(warm, folder) for _ in range(2)]


def test_the_budget_is_kept_in_the_ledger_and_ends(nights):
    spent = [facts["privacy"]["spent_total"] for _, _, facts in nights]
    assert spent == [0.5, 0.5]
    assert [facts["privacy"]["epsilon"] for _, _, facts in nights] == [0.5, 0.0]
    assert {facts["privacy"]["delta"] for _, _, facts in nights} == {0.0}
    codes = [[w["code"] for w in told["warnings"]] for told, _, _ in nights]
    assert [("ASSAY-K021" in some) for some in codes] == [False, True]
    for told, _, facts in nights:
        assert facts["warnings"] == told["warnings"]


def test_protected_columns_are_drawn_with_noise_or_not_at_all(nights):
    told, folder, facts = nights[0]
    page, drawn = charts(folder)
    assert {"size", "age", "town"} <= drawn
    assert "salary" not in drawn  # its contract gives no ends, and its own are of persons
    assert facts["privacy"]["columns"] == ["age", "town"]
    assert "off by 8 on average (epsilon 0.25)" in page
    assert told["verdict"] == "pass"
    counted = re.findall(r"this run, n = ([\d,]+)", page)
    assert "2,000" in counted  # of the column in the open
    assert counted != ["2,000"] * 3  # noise may leave one as it is, hardly both
    page, drawn = charts(nights[1][1])
    assert drawn == {"size"}
    assert "ASSAY-K021" in page
    assert "ASSAY-K021" not in charts(folder)[0]


def test_great_expectations_publishes_no_statistic_of_them(nights):
    folder = nights[0][1]
    results = json.loads((folder / "expectations" / "result.json").read_text())["results"]
    by_column = {}
    for item in results:
        column = item["expectation_config"]["kwargs"].get("column")
        by_column.setdefault(column, []).append(item["result"])
    assert any("missing_count" in result for result in by_column["size"])
    for column in ("age", "town"):
        for result in by_column[column]:
            assert not {"observed_value", "missing_count", "missing_percent"} & result.keys()
    pages = "".join(p.read_text() for p in (folder / "expectations" / "data_docs").iterdir())
    mean = np.mean([int(line.split(",")[2] or 0) for line in table(1).splitlines()[1:]])
    assert f"{mean:.2f}"[:4] not in pages


def test_an_sql_rule_over_them_does_not_tell_its_number(nights):
    import pyarrow.dataset as ds

    found = ds.dataset(nights[0][1] / "findings").to_table().to_pylist()
    (told,) = [f["evidence"] for f in found if f["rule"] == "mean age"]
    assert told.startswith("the result of the SQL rule is not shown;")


def test_without_a_budget_nothing_is_published(tmp_path):
    contract = Contract(
        "people", "1", "c.yaml", "0" * 64,
        (Column(ColumnSpec("age"), roles=frozenset({"quasi_identifier"})),),
        policy=Policy(epsilon=0),
    )  # fmt: skip
    open_ = Panel("size", (1.0,), (), (5, 5), (4, 6), "psi", 0.1, 0.2, is_drifted=False,
                  missing=(0.0, 0.0))  # fmt: skip
    secret = dataclasses.replace(open_, column="age", value=None, limit=None, is_protected=True)
    shown = privacy_noise.published((open_, secret), contract, Store(tmp_path))
    assert shown.panels == (open_,)
    assert shown.warnings == ()
    assert (shown.facts["epsilon"], shown.facts["spent_total"]) == (0.0, 0.0)
    free = dataclasses.replace(contract, columns=())
    assert privacy_noise.published((open_,), free, Store(tmp_path)).facts is None


@pytest.mark.parametrize("epsilon", [0.5, 2.0])
def test_the_noise_has_the_scale_that_epsilon_asks_for(epsilon):
    size, center = 10_000, 1_000_000
    drawn = np.array(privacy_noise.noisy_counts([center] * size, epsilon)) - center
    # discrete Laplace with p = exp(-1 / scale): mean 0, mean distance 2p / (1 - p^2)
    p = math.exp(-1 / privacy_noise.scale_of(epsilon))
    away, spread = 2 * p / (1 - p * p), math.sqrt(2 * p) / (1 - p)
    assert abs(drawn.mean()) < 6 * spread / math.sqrt(size)
    assert abs(np.abs(drawn).mean() - away) < 6 * spread / math.sqrt(size)
    assert privacy_noise.scale_of(epsilon) == 2 / epsilon
    assert privacy_noise.noisy_counts([0] * 50, epsilon) != (0,) * 50
    assert min(privacy_noise.noisy_counts([0] * 50, epsilon)) == 0


def test_the_mechanism_spends_no_more_than_it_is_given():
    import opendp.prelude as dp

    dp.enable_features("contrib")
    for epsilon in (0.01, 0.1, 1 / 3, 1.0):
        domain = dp.vector_domain(dp.atom_domain(T="i64"))
        made = dp.m.make_laplace(
            domain, dp.l1_distance(T="i64"), scale=privacy_noise.scale_of(epsilon)
        )
        assert made.map(privacy_noise.SENSITIVITY) <= epsilon * (1 + 1e-12)


def test_drift_of_a_protected_column_is_told_without_its_figures():
    import pyarrow as pa
    import tables

    from checks.drift import Drift

    before = tables.loans(3_000, seed=9)
    place = before.column_names.index("late")
    moved = before.set_column(place, "late", pa.array(np.full(3_000, 3)))
    context = tables.context_for(moved, before, late="quasi_identifier")
    check = Drift(context)
    (shard,) = tables.cut(moved)
    model = check.finish(check.fit(shard))
    (told,) = [f for f in model.overall.to_pylist() if f["column"] == "late"]
    assert told["severity"] == "error"
    assert "psi" in told["evidence"]
    assert not re.search(r"\d", told["evidence"])
    assert "late" not in [panel.column for panel in model.panels]
