"""Why a fate is another: named when it is the only thing that differs, `unknown` when it is not."""

import json

import numpy as np
import pytest
import runs

from checks.kit import findings
from pipelines.cli import main
from pipelines.diff import compare
from pipelines.store.store import Store

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
name: night
schema:
  - name: night
    properties:
      - {name: key, logicalType: string, primaryKey: true}
      - {name: age, logicalType: integer, logicalTypeOptions: {minimum: 0}}
      - name: label
        logicalType: string
        customProperties: [{property: assay.role, value: label}]
"""
ROWS = [(f"k{n:03d}", str(n), "ab"[n % 2]) for n in range(40)]
OTHER_CODE = {"version": "9", "sha256": "0" * 64}
AGE = {"check": "contract", "rule": "age.minimum", "column": "age"}
COPY = {"check": "contract", "rule": "ASSAY-V009", "column": "key"}
RARE = {"check": "outliers", "rule": "outliers.rare"}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def commit(store, rows=ROWS, edits=(), grounds=(), **more):
    """Commit a night under the contract with `edits`; `grounds` are findings on row 7."""
    number = len(store.ledger.numbers())
    folder = store.folder.parent
    text = CONTRACT
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    path = folder / f"{number}.yaml"
    path.write_text(text)
    source = folder / f"{number}.csv"
    source.write_text("\n".join(["key,age,label", *map(",".join, rows)]) + "\n")
    found = [findings.make(np.array([7]), **ground) for ground in grounds]
    return runs.committed(store, path, source, found=found, **more)


def cause(store, a=1, b=2):
    """Return the cause of the one changed fate, and what else it may be."""
    facts = compare.compare(store, str(a), str(b), 0)
    [row] = facts["fate_changed"]
    [counted] = facts["fates"]
    assert counted["causes"] == {row["cause"]: 1}
    back = compare.compare(store, str(b), str(a), 0)["fate_changed"]
    assert [item["cause"] for item in back] == [row["cause"]]
    return row["cause"], row["may_be"]


HIGHER = [("minimum: 0", "minimum: 8")]
ELSEWHERE = [("name: night\nschema", "name: night\nversion: 2.0.0\nschema")]
NO_RULE = [(", logicalTypeOptions: {minimum: 0}", "")]
NO_CHECK = [
    ("schema:", "customProperties:\n  - {property: assay.checks, value: {outliers: off}}\nschema:")
]
ALPHA = [
    ("schema:", "customProperties:\n  - {property: assay.policy, value: {alpha: 0.2}}\nschema:")
]
MORE = [*ROWS, ("k999", "1", "a")]
MOVED = [*ROWS[:7], ("k007", "70", "b"), *ROWS[8:]]
TRUSTED = [{"name": "trusted.csv", "sha256": "1" * 64}]
NEW_MODEL = {"models": {"outliers": b"1"}}
UNRUN = {"checks": dict.fromkeys(runs.CHECKS, "ok") | {"outliers": "failed"}}

# what differs: both runs, the second one's grounds, the cause, and what else it may be
CASES = {
    "the rule's own terms": ({}, {"edits": HIGHER}, AGE, "contract", []),
    "the terms, and other rows": ({}, {"edits": HIGHER, "rows": MORE}, AGE, "contract", []),
    "a rule that one has": ({"edits": NO_RULE}, {"code": OTHER_CODE}, AGE, "contract", []),
    "the terms and the code": (
        {}, {"edits": HIGHER, "code": OTHER_CODE}, AGE, "unknown", ["contract", "code"]),
    "the code": ({}, {"code": OTHER_CODE}, AGE, "code", []),
    "the code, with other rows": ({}, {"code": OTHER_CODE, "rows": MORE}, AGE, "code", []),
    "the row": ({}, {"rows": MOVED}, AGE, "data", []),
    "the row, and a contract changed elsewhere": (
        {}, {"rows": MOVED, "edits": ELSEWHERE}, AGE, "data", []),
    "the row and the terms": (
        {}, {"rows": MOVED, "edits": HIGHER}, AGE, "unknown", ["contract", "data"]),
    "other rows of its key": ({}, {"rows": MORE}, COPY, "data", []),
    "other rows of its key, and the code": (
        {}, {"rows": MORE, "code": OTHER_CODE}, COPY, "unknown", ["code", "data"]),
    "other rows, that the rule does not look at": ({}, {"rows": MORE}, AGE, "unknown", []),
    "the model": ({}, {"rows": MORE, **NEW_MODEL}, RARE, "model", []),
    "the row, and so the model": ({}, {"rows": MOVED, **NEW_MODEL}, RARE, "data", []),
    "the check's options": ({}, {"edits": ALPHA, **NEW_MODEL}, RARE, "contract", []),
    "the check's options and other rows": (
        {}, {"edits": ALPHA, "rows": MORE, **NEW_MODEL}, RARE, "unknown", ["contract", "model"]),
    "a check that one has": ({"edits": NO_CHECK}, {}, RARE, "contract", []),
    "the reference": ({}, {"reference": TRUSTED, **NEW_MODEL}, RARE, "model", []),
    "a check that did not run": ({}, {"rows": MORE, **NEW_MODEL, **UNRUN}, RARE, "unknown", []),
    "nothing": ({}, {}, RARE, "unknown", []),
}  # fmt: skip


@pytest.mark.parametrize(
    ("first", "second", "ground", "wanted", "may_be"), CASES.values(), ids=CASES
)
def test_the_cause_is_what_alone_differs(store, first, second, ground, wanted, may_be):
    commit(store, **first)
    commit(store, grounds=[ground], **second)
    assert cause(store) == (wanted, may_be)


def test_one_ground_is_enough_to_come_and_all_must_go(store):
    commit(store)
    commit(store, edits=HIGHER, grounds=[AGE, RARE])  # nothing explains the second one
    there, back = (compare.compare(store, a, b, 0)["fate_changed"][0] for a, b in ("12", "21"))
    assert (there["cause"], there["may_be"]) == ("contract", [])
    assert (back["cause"], back["may_be"]) == ("unknown", ["contract"])


def test_a_type_and_a_limit_are_of_the_contract(store):
    odd = [*ROWS[:7], ("k007", "7", "b"), ("k008", '"1\n2\n3"', "a"), *ROWS[9:]]
    text = [("name: age, logicalType: integer, logicalTypeOptions: {minimum: 0}", "name: age")]
    limit = "customProperties:\n  - {property: assay.limits, value: {max_lines_per_row: 2}}"
    tight = [("schema:", f"{limit}\nschema:")]
    for edits in (text, text + tight, [], tight):
        commit(store, rows=odd, edits=edits)
    for a, b, fates, rule in (
        (1, 2, ("clean", "rejected"), "ASSAY-I025"),
        (1, 3, ("clean", "quarantine"), "ASSAY-I035"),
        (3, 4, ("quarantine", "rejected"), "ASSAY-I025"),
    ):
        assert cause(store, a, b) == ("contract", [])
        [row] = compare.compare(store, str(a), str(b), 0)["fate_changed"]
        assert (row["fate_a"], row["fate_b"]) == fates
        assert row["rules_b"] == [rule]
        assert row["grounds"][-1]["rule"] == rule


def test_the_dialect_is_of_the_contract(store):
    odd = [*ROWS[:7], ("k007", "7", '"b"x'), *ROWS[8:]]
    bare = [
        ("schema:", "customProperties:\n  - {property: assay.csv, value: {quote: none}}\nschema:")
    ]
    for edits in ([], bare):
        commit(store, rows=odd, edits=edits)
    assert cause(store) == ("contract", [])


def decide(store, run, *lines):
    path = store.folder.parent / "decisions.csv"
    path.write_text("\n".join(["row,decision,value", *lines]) + "\n")
    for words in (["review", str(run), "--apply", str(path)], ["release", str(run)]):
        assert main([*words, "--store", str(store.folder)]) == 0
    return store.runs()[-1].seq


def told(store, a, b):
    facts = compare.compare(store, str(a), str(b), 0)
    return {
        kind: [(row["row_a"], row["fate_a"], row["fate_b"], row["cause"]) for row in facts[kind]]
        for kind in ("changed", "fate_changed")
    }


def test_decisions_are_the_cause_of_what_they_did(store):
    commit(store, grounds=[AGE])
    release = decide(store, 1, "7,release,", "3,reject,", "5,relabel,a")
    assert told(store, 1, release) == {
        "changed": [(5, "clean", "clean", "decision")],
        "fate_changed": [(3, "clean", "rejected", "decision"),
                         (7, "quarantine", "clean", "decision")],
    }  # fmt: skip
    assert compare.compare(store, "1", str(release), 0)["counts"]["unchanged"] == 37
    again = decide(store, 1, "3,undo,", "7,reject,")
    assert told(store, release, again)["fate_changed"] == [
        (3, "rejected", "clean", "decision"), (7, "clean", "rejected", "decision"),
    ]  # fmt: skip
    assert told(store, release, again)["changed"] == []  # both have the same new label


def test_decisions_of_one_night_hold_in_the_next_until_they_are_withdrawn(store):
    commit(store, grounds=[AGE])
    release = decide(store, 1, "7,release,", "3,reject,")
    commit(store, rows=MORE, grounds=[AGE])
    last = store.runs()[-1].seq
    assert told(store, release, last)["fate_changed"] == []
    decide(store, last, "7,undo,", "3,undo,")
    commit(store, rows=MORE, grounds=[AGE])
    assert told(store, last, store.runs()[-1].seq)["fate_changed"] == [
        (3, "rejected", "clean", "decision"), (7, "clean", "quarantine", "decision"),
    ]  # fmt: skip
    # what was released in one night and is well in the next is no change, whatever the ground
    commit(store, rows=MOVED)
    assert told(store, release, store.runs()[-1].seq)["fate_changed"] == [
        (3, "rejected", "clean", "decision")
    ]


def test_a_decision_is_no_cause_where_the_data_were(store):
    commit(store)
    release = decide(store, 1, "7,relabel,b", "3,reject,")
    commit(store, rows=MOVED, grounds=[AGE])
    moved = told(store, release, store.runs()[-1].seq)
    assert (7, "clean", "quarantine", "data") in moved["fate_changed"]
    assert (7, "clean", "quarantine", "data") in moved["changed"]


def test_a_decision_recorded_while_a_release_was_made_is_not_taken_for_its_own(store, monkeypatch):
    from pipelines.commands import release as releasing

    commit(store, grounds=[AGE])
    before = releasing.clean_scan.rescan
    path = store.folder.parent / "late.csv"
    path.write_text("row,decision\n3,reject\n")

    def rescan(*given, **named):
        assert main(["review", "1", "--apply", str(path), "--store", str(store.folder)]) == 0
        return before(*given, **named)

    monkeypatch.setattr(releasing.clean_scan, "rescan", rescan)
    made = decide(store, 1, "7,release,")
    assert told(store, 1, made)["fate_changed"] == [(7, "quarantine", "clean", "decision")]
    facts = compare.compare(store, "1", str(made), 0)
    assert facts["differs"]["decisions"] == {"same": False, "a": 0, "b": 1}


def test_what_differs_between_the_runs_is_told(store, capsys):
    commit(store, grounds=[AGE])
    commit(store, rows=MORE, edits=HIGHER, code=OTHER_CODE, verdict="fail", **NEW_MODEL)
    differs = compare.compare(store, "1", "2", 0)["differs"]
    same = {name for name, item in differs.items() if isinstance(item, dict) and item.get("same")}
    assert same == {"dataset", "engine", "policy", "reference", "decisions"}
    assert set(differs["models"]) == {"outliers"}
    assert (differs["verdict"]["a"], differs["verdict"]["b"]) == ("pass", "fail")
    assert {"check": "contract", "rule": "age.minimum", "severity": "error", "a": 1, "b": 0} in (
        differs["findings"]
    )
    assert [item["rows"] for item in differs["sources"]["only_b"]] == [41]
    assert main(["diff", "1", "2", "--store", str(store.folder)]) == 0
    printed = capsys.readouterr().out
    assert "sources, contract, code, models (outliers)" in printed
    assert "age.minimum (error): 1 -> 0" in printed
    assert "pass -> fail" in printed
    json.dumps(differs, allow_nan=False)
