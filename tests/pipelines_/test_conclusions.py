"""A source whose rows are found far more often than the others' is named, and no other."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
import tables

from checks.kit import findings
from checks.kit.protocol import Context
from checks.sources import finding_rates
from pipelines.checking.conclusions import with_conclusions
from pipelines.checking.examine import Examined, Status
from provenance.rows.shards import write_shard


def told(folder, branch, rows, status="ok", severity="warning", more_roles=()):
    table = tables.loans(len(branch))
    place = table.column_names.index("branch")
    table = table.set_column(place, "branch", pa.array(branch, pa.string()))
    refs = [write_shard(folder, shard) for shard in tables.cut(table, len(branch) // 3)]
    found = findings.make(np.array(rows), check="labels", rule="labels.x", severity=severity)
    examined = Examined(found, (Status("labels", "ok", 3), Status("sources", status, 1)), ())
    contract = tables.contract_for(table.schema, **tables.ROLES)
    roles = frozenset({"source", *more_roles})
    columns = tuple(
        dataclasses.replace(c, roles=roles) if c.name == "branch" else c for c in contract.columns
    )
    contract = dataclasses.replace(contract, columns=columns)
    after = with_conclusions(examined, Context(contract, table.schema, len(table)), refs)
    more = after.found.filter(pa.compute.equal(after.found["check"], "sources")).to_pylist()
    assert [s.findings for s in after.statuses] == [3, 1 + len(more)]
    return more


BRANCH = np.resize(["north", "south", "east", None], 1_200)
NORTH, SOUTH = np.flatnonzero(BRANCH == "north"), np.flatnonzero(BRANCH == "south")


def test_the_source_with_most_findings_is_named_but_not_told(tmp_path):
    [finding] = told(tmp_path, BRANCH, [*NORTH[:60], *SOUTH[:5]])
    assert (finding["rule"], finding["severity"]) == ("sources.findings_rate", "warning")
    assert (finding["row"], finding["column"]) == (None, "branch")
    assert "20.0%" in finding["evidence"]
    assert "0.8%" in finding["evidence"]
    assert "north" not in finding["evidence"]


@pytest.mark.parametrize(
    ("branch", "rows", "how"),
    [
        (BRANCH, [*NORTH[:10], *SOUTH[:5]], {}),  # few
        (BRANCH, [*NORTH[:60], *SOUTH[:60]], {}),  # both
        (BRANCH, NORTH[:60], {"status": "failed"}),
        (BRANCH, NORTH[:60], {"severity": "info"}),
        (np.resize(["north"], 300), range(60), {}),  # nobody to compare with
        (np.array([f"s{n}" for n in range(300)]), range(60), {}),
        (np.resize([None], 300), range(60), {}),
    ],
)
def test_no_other_is_named(tmp_path, branch, rows, how):
    assert told(tmp_path, branch, rows, **how) == []


def test_figures_of_a_protected_column_are_not_shown(tmp_path):
    [finding] = told(tmp_path, BRANCH, NORTH[:60], more_roles=("quasi_identifier",))
    assert finding["score"] == 1.0
    assert not any(char.isdigit() for char in finding["evidence"])


def test_more_names_than_suppliers_can_be_are_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(finding_rates, "MOST_SOURCES", 2)
    assert told(tmp_path, BRANCH, NORTH[:60]) == []


def test_without_a_source_nothing_changes():
    examined = Examined(findings.empty(), (Status("sources", "skipped"),), ())
    schema = tables.loans(3).schema
    after = with_conclusions(examined, Context(tables.contract_for(schema), schema, 3), [])
    assert (after.found, after.statuses, after.memory) == (examined.found, examined.statuses, {})


def test_what_was_found_is_remembered_and_compared_by_night(tmp_path):
    table = tables.loans(len(BRANCH))
    place = table.column_names.index("branch")
    table = table.set_column(place, "branch", pa.array(BRANCH, pa.string()))
    refs = [write_shard(tmp_path, shard) for shard in tables.cut(table, 400)]
    contract = tables.contract_for(table.schema, **tables.ROLES)
    statuses = (Status("sources", "ok", 0),)

    def examined(rows, before=()):
        found = findings.make(np.array(rows), check="labels", rule="x", severity="warning")
        first = Examined(found, statuses, (), memory={"sources": {"share": {}, "whole": True}})
        history = {"sources": tuple(before)}
        context = Context(contract, table.schema, len(table), history=history)
        return with_conclusions(first, context, refs)

    few = [*NORTH[:5], *SOUTH[:5]]
    past = [examined(few).memory["sources"]] * 6
    assert sorted(past[0]["found"].values()) == [[0, 300], [5, 300], [5, 300]]
    assert "north" not in str(past)
    after = examined([*few, *NORTH[100:200]], past)
    assert "ASSAY-K022" in after.found["rule"].to_pylist()
    assert "ASSAY-K022" not in examined(few, past).found["rule"].to_pylist()
    assert after.statuses[0].findings == len(
        after.found.filter(pa.compute.equal(after.found["check"], "sources"))
    )
