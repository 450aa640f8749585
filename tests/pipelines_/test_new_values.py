"""A new value of a cell is held against every rule that a cell must keep, and a key stays a key."""

import pytest
import runs

from checks.kit import findings
from pipelines.cli import main
from pipelines.review import judged_cells, recording
from pipelines.review.desk import Desk
from pipelines.review.recording import Ask
from pipelines.review.reviewed_run import ReviewedRun
from pipelines.review.selection import Selection
from pipelines.run.child_process import Child
from pipelines.store.store import Store
from provenance.base.errors import AssayError

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
name: orders
schema:
  - name: orders
    properties:
      - {name: key, logicalType: string, primaryKey: true}
      - name: size
        logicalType: integer
        quality:
          - {type: custom, engine: greatExpectations, name: even size, implementation:
              {type: expect_column_values_to_be_in_set, kwargs: {value_set: [2, 4, 6]}}}
      - name: code
        logicalType: string
        customProperties:
          - {property: assay.role, value: label}
        quality:
          - {type: custom, engine: greatExpectations, name: good code, implementation:
              {type: expect_column_values_to_match_regex, kwargs: {regex: '^[A-Z]{2}[0-9]+$'}}}
          - {type: custom, engine: greatExpectations, name: long code, severity: warning,
             implementation:
               {type: expect_column_value_lengths_to_be_between, kwargs: {min_value: 3}}}
      - name: day
        logicalType: date
        quality:
          - {type: custom, engine: greatExpectations, name: this year, implementation:
              {type: expect_column_values_to_be_between, kwargs:
                {min_value: "2026-01-01", max_value: "2026-12-31"}}}
"""
ROWS = [("a", 2, "AB1", "2026-01-05"), ("b", 4, "AB2", "2026-02-05"), ("c", 6, "AB3", "2026-03-05"),
        ("d", 2, "AB4", "2026-04-05")]  # fmt: skip


@pytest.fixture
def run(tmp_path):
    """Return a run of which all rows but the first are accused."""
    store, contract = Store(tmp_path / "store"), tmp_path / "c.yaml"
    contract.write_text(CONTRACT)
    source = tmp_path / "a.csv"
    lines = ["key,size,code,day", *(",".join(map(str, row)) for row in ROWS)]
    source.write_text("\n".join(lines) + "\n")
    found = findings.make([1, 2, 3], check="outliers", rule="outliers.joint", column="size",
                          severity="error", evidence="far off")  # fmt: skip
    return ReviewedRun.of(store, runs.committed(store, contract, source, found=[found]))


def correct(run, row, column, value):
    asks = [Ask(Selection(row=str(row)), "correct", column, value)]
    return recording.record(ReviewedRun.of(run.store, run.entry), asks, "anna")


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("size", "3", "even size"), ("size", "4", ""), ("code", "ab1", "good code"),
        ("code", "A1", "good code"), ("code", "ZZ9", ""), ("code", "ZZ", "good code"),
        ("day", "2027-01-01", "this year"), ("day", "2026-12-31", ""),
    ],
)  # fmt: skip
def test_expectations_on_a_cell_judge_a_new_value(run, column, value, rule):
    if not rule:
        assert correct(run, 1, column, value).counts == {"correct": 1}
        return
    with pytest.raises(AssayError, match=f"the new value breaks the rule .*{rule}"):
        correct(run, 1, column, value)
    assert run.store.ledger.head().kind == "run"


def test_a_key_is_not_corrected_to_one_that_another_row_has(run):
    for taken in ("a", "c"):  # of a clean row, and of one that waits
        with pytest.raises(AssayError, match=r"breaks the rule .*"):
            correct(run, 1, "key", taken)
    correct(run, 1, "key", "b")  # its own
    correct(run, 1, "key", "e")
    with pytest.raises(AssayError, match=r"breaks the rule"):
        correct(run, 2, "key", "e")  # which another decision gave away
    correct(run, 2, "key", "b")  # which nobody has any more
    asks = [Ask(Selection(row="3"), "reject")]
    recording.record(ReviewedRun.of(run.store, run.entry), asks, "anna")
    correct(run, 2, "key", "d")  # whose row is rejected


def test_several_rows_do_not_get_one_key(run):
    asks = [Ask(Selection(rule="outliers.joint"), "correct", "key", "z")]
    with pytest.raises(AssayError, match="breaks the rule"):
        recording.record(run, asks, "anna")


def test_that_a_masked_key_occurs_already_is_told_after_it_is_recorded(run, monkeypatch):
    """Else guesses could be confirmed by trying to correct a row to them."""
    monkeypatch.setattr(ReviewedRun, "private", frozenset({"key"}))
    with pytest.raises(AssayError, match="breaks the rule"):
        correct(run, 1, "key", "a")
    head = run.store.ledger.head()
    assert (head.kind, head.facts["by"]) == ("access", "anna")
    assert head.facts["shown"] == {"rows": 1, "columns": ["key"]}


def test_the_list_says_where_the_rest_is_worth_little(tmp_path, capsys):
    store, contract = Store(tmp_path / "store"), tmp_path / "c.yaml"
    contract.write_text(CONTRACT)
    source = tmp_path / "a.csv"
    lines = [f"k{n},2,AB{n},2026-01-05" for n in range(300)]
    source.write_text("key,size,code,day\n" + "\n".join(lines) + "\n")
    found = [findings.make(range(200), check="poison", rule="poison.trigger", column="code",
                           severity="error", evidence="a token"),
             findings.make([250, 251], check="sources", rule="sources.rare", column="size",
                           severity="warning", evidence="rare")]  # fmt: skip
    entry = runs.committed(store, contract, source, found=found)
    words = ["review", str(entry.seq), "--list", "--store", str(store.folder)]
    assert main([*words, "--json"]) == 0
    import json

    told = json.loads(capsys.readouterr().out)
    assert (told["stop"], told["rest"]["rows"]) == (1, 2)
    assert told["rest"]["share"] < 0.05
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    [at] = [n for n, line in enumerate(lines) if line.startswith("you may stop here: the 2 rows")]
    assert lines[at + 1].startswith("group ")


@pytest.fixture
def judged(run, monkeypatch):
    """Return a desk at the store, and of each value that a child judged whether others waited."""
    desk, whole, waited = Desk(run.store, "anna"), Child.call, []

    def watched(child, **arguments):
        waited.append(desk._writing._is_owned())
        return whole(child, **arguments)

    monkeypatch.setattr(Child, "call", watched)
    return desk, waited


def test_a_new_label_is_judged_while_others_decide(judged):
    desk, waited = judged
    queue = desk.queue(desk.store.ledger.head().seq)
    ask = Ask(Selection(row="1"), "relabel", None, "ZZ9")
    assert desk.decide(queue, ask, 0, overrule=False).counts == {"relabel": 1}
    assert waited == [False]


def test_a_value_that_could_not_be_judged_is_refused_without_another_attempt(judged, monkeypatch):
    desk, waited = judged
    queue = desk.queue(desk.store.ledger.head().seq)
    monkeypatch.setattr(judged_cells, "SECONDS", 0.001)
    ask = Ask(Selection(row="1"), "correct", "code", "ZZ9")
    for _ in range(2):
        with pytest.raises(AssayError, match=r"K002|E005"):
            desk.decide(queue, ask, 0, overrule=False)
    assert waited == [False]
    monkeypatch.setattr(judged_cells, "SECONDS", 120.0)
    queue.run.not_judged[("code", "ZZ9")] = 0.0, queue.run.not_judged[("code", "ZZ9")][1]
    assert desk.decide(queue, ask, 0, overrule=False).counts == {"correct": 1}
