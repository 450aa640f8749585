"""What a person decided stays decided: for the same content, in every run, until it is undone."""

import csv
import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import runs

from checks.kit import findings
from pipelines import config
from pipelines.cli import main
from pipelines.learning import precision
from pipelines.review import (
    advice,
    decision_file,
    grouping,
    nearest,
    queue,
    recording,
    reviewed_run,
    shown_cells,
)
from pipelines.review.recording import Ask
from pipelines.review.reviewed_run import ReviewedRun
from pipelines.review.selection import Selection
from pipelines.store import decisions, proofs
from pipelines.store.store import Store
from provenance.base.errors import AssayError

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
name: people
schema:
  - name: people
    properties:
      - {name: key, logicalType: string, primaryKey: true}
      - {name: age, logicalType: integer, logicalTypeOptions: {minimum: 0, maximum: 130}}
      - {name: kind, logicalType: string, customProperties: [{property: assay.role, value: label}]}
"""
ROWS = [("a", "20", "x"), ("b", "21", "y"), ("c", "22", "x"), ("d", "23", "y"), ("e", "24", "x")]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def contract(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(CONTRACT)
    return path


def policy(contract, **settings):
    """Add a policy to the contract."""
    lines = "".join(f", {name}: {value}" for name, value in settings.items()).lstrip(", ")
    contract.write_text(f"{CONTRACT}customProperties:\n  - {{property: assay.policy, value: "
                        f"{{{lines}}}}}\n")  # fmt: skip


@pytest.fixture
def examined(store, contract, tmp_path):
    """Return what commits a run over rows, of which some are accused; returns the run reviewed."""

    def commit(rows, accused, *, rule="outliers.joint", column="age", severity="error"):
        path = tmp_path / f"night{len(list(tmp_path.iterdir()))}.csv"
        path.write_text("key,age,kind\n" + "".join(",".join(row) + "\n" for row in rows))
        at = [place for place, row in enumerate(rows) if row[0] in accused]
        found = findings.make(at, check=rule.partition(".")[0], rule=rule, column=column,
                              severity=severity, evidence="far off")  # fmt: skip
        entry = runs.committed(store, contract, path, found=[found])
        return ReviewedRun.of(store, entry)

    return commit


def decide(run, decision, *keys, reviewer="anna", overrule=False, **more):
    """Decide about the rows of some keys."""
    asks = [Ask(Selection(key=key), decision, **more) for key in keys]
    return recording.record(run, asks, reviewer, overrule=overrule).entry


def fates(run):
    """Return the fate of each row by its key; rejected rows by what they held."""
    found = {}
    for part in ("clean", "quarantine"):
        for table in run.files.tables(part):
            found |= dict.fromkeys(table["key"].to_pylist(), part)
    for table in run.files.tables("rejected"):
        found |= dict.fromkeys((json.loads(raw)["key"] for raw in table["_raw"].to_pylist()),
                               "rejected")  # fmt: skip
    return found


def clean(run):
    return {row["key"]: row for table in run.files.tables("clean") for row in table.to_pylist()}


def test_a_decision_holds_for_the_same_content_in_another_order(examined):
    first = examined(ROWS, {"b", "c", "d"})
    entry = decide(first, "release", "b")
    decide(first, "reject", "c")
    second = examined([("z", "9", "x"), *reversed(ROWS)], {"b", "c", "d"})
    assert fates(second) == dict.fromkeys("zae", "clean") | {
        "b": "clean", "c": "rejected", "d": "quarantine"}  # fmt: skip
    applied = decisions.applied(second.store, second.entry)
    assert {item.entry for item in applied.values()} == {entry.seq, entry.seq + 1}
    told = second.entry.facts
    assert told["reviews"] == [entry.seq, entry.seq + 1]
    assert (told["decided"]["rows"], told["decided"]["asked"]) == (2, 0)
    assert len(queue.of(second).groups) == 1


def test_a_changed_row_is_asked_anew_and_names_the_earlier_decision(examined):
    entry = decide(examined(ROWS, {"b"}), "release", "b")
    changed = [("b", "99", "y") if row[0] == "b" else row for row in ROWS]
    second = examined(changed, {"b"})
    assert fates(second)["b"] == "quarantine"
    [said] = [item for item in second.rowed.to_pylist() if item["rule"] == "ASSAY-K026"]
    assert f"entry {entry.seq} decided about an earlier version" in said["evidence"]
    assert [same for _, same in second.told(1)] == [False]


def test_a_rule_that_nobody_has_seen_accuses_anew(examined):
    decide(examined(ROWS, {"b", "c"}), "release", "b")
    decide(examined(ROWS, {"b", "c"}), "reject", "c")
    second = examined(ROWS, {"b", "c"}, rule="poison.trigger", column="kind")
    assert fates(second)["b"] == "quarantine"
    assert fates(second)["c"] == "rejected"  # whatever accuses it
    assert fates(examined(ROWS, {"b"}))["b"] == "clean"


def test_a_new_label_and_a_corrected_cell_stand_in_the_next_clean_dataset(examined):
    first = examined(ROWS, {"b", "c"})
    decide(first, "relabel", "b", value="x")
    decide(examined(ROWS, {"b", "c"}), "correct", "b", column="age", value="30")
    decide(first, "correct", "c", column="age", value="31")
    second = clean(examined(ROWS, {"b", "c"}))
    assert second["b"] == {"key": "b", "age": 30, "kind": "x"}  # both stand
    assert second["c"]["age"] == 31


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"column": "age", "value": "old"}, "not a value of the type integer"),
        ({"column": "age", "value": "131"}, "breaks the rule age.maximum"),
        ({"column": "height", "value": "1"}, "no column 'height'"),
        ({"column": "age"}, "needs a value"),
        ({"value": "30"}, "needs the column"),
    ],
)
def test_a_cell_is_corrected_to_what_the_contract_allows_only(examined, more, says):
    run = examined(ROWS, {"b"})
    with pytest.raises(AssayError, match=says):
        decide(run, "correct", "b", **more)
    assert run.store.ledger.head().kind == "run"


def test_undo_and_forget_count_from_the_next_run_on(examined):
    first = examined(ROWS, {"b", "c"})
    decide(first, "reject", "b", "c")
    decide(ReviewedRun.of(first.store, first.entry), "release", "b")
    second = examined(ROWS, {"b", "c"})
    assert fates(second)["b"] == "clean"
    decide(second, "undo", "b")
    third = examined(ROWS, {"b", "c"})
    assert fates(third)["b"] == "rejected"
    decide(third, "forget", "b")
    fourth = examined(ROWS, {"b", "c"})
    assert (fates(fourth)["b"], fates(fourth)["c"]) == ("quarantine", "rejected")


def test_an_entry_is_withdrawn_on_exactly_its_rows(examined, store):
    first = examined(ROWS, {"b", "c", "d"})
    alone = decide(first, "release", "d")
    ask = Ask(Selection(rule="outliers.joint age"), "reject")
    made = recording.record(ReviewedRun.of(store, first.entry), [ask], "anna")
    assert made.counts == {"reject": 2}
    again = ReviewedRun.of(store, first.entry)
    recording.withdraw(again, made.entry.seq, "anna", None)
    assert set(ReviewedRun.of(store, first.entry).standing) == {3}
    with pytest.raises(AssayError, match="decided about again since"):
        recording.withdraw(again, made.entry.seq, "anna", None)
    recording.withdraw(again, alone.seq, "anna", None)
    assert fates(examined(ROWS, {"b", "c", "d"}))["d"] == "quarantine"


def test_somebody_elses_decision_is_overruled_with_a_reason_only(examined):
    run = examined(ROWS, {"b"})
    decide(run, "reject", "b", reason="a copy")
    fresh = ReviewedRun.of(run.store, run.entry)
    with pytest.raises(AssayError, match=r"anna decided otherwise about row 1: reject .* a copy"):
        decide(fresh, "release", "b", reviewer="ben")
    with pytest.raises(AssayError, match="anna decided otherwise"):
        decide(fresh, "release", "b", reviewer="ben", overrule=True)
    decide(fresh, "reject", "b", reviewer="ben")  # the same again is no contradiction
    decide(fresh, "release", "b", reviewer="ben", overrule=True, reason="no copy")


def test_decisions_expire_when_the_contract_says_so(examined, contract, monkeypatch):
    decide(examined(ROWS, {"b"}), "release", "b")
    policy(contract, decisions_valid="30d")
    second = examined(ROWS, {"b"})
    assert fates(second)["b"] == "clean"
    assert second.entry.facts["decided"]["until"] > second.entry.facts["time"]
    later = decisions._moved(second.entry.facts["time"], 31)
    monkeypatch.setattr(decisions, "now", lambda: later)
    third = examined(ROWS, {"b"})
    assert fates(third)["b"] == "quarantine"
    assert "has expired" in next(
        item["evidence"] for item in third.rowed.to_pylist() if item["rule"] == "ASSAY-K026"
    )


def test_of_rows_with_the_same_content_each_has_its_own_decision(examined):
    twins = [("a", "20", "x"), ("a", "20", "x"), ("b", "21", "y"), ("a", "20", "x")]
    run = examined(twins, {"a"})
    asks = [Ask(Selection(row="0"), "release"), Ask(Selection(row="1"), "reject")]
    recording.record(run, asks, "anna")
    second = examined([twins[2], *twins[:2], twins[3], twins[0]], {"a"})
    rows = decisions.applied(second.store, second.entry)
    assert {row: item.decision for row, item in rows.items()} == {1: "release", 2: "reject"}
    assert second.entry.facts["rows"] == {
        "source": 5, "clean": 2, "quarantine": 2, "rejected": 1}  # fmt: skip


def test_a_reason_is_asked_for_where_the_contract_says_so(examined, contract):
    policy(contract, require_reason="true")
    run = examined(ROWS, {"b"})
    with pytest.raises(AssayError, match="asks for a reason"):
        decide(run, "release", "b")
    decide(run, "release", "b", reason="looked")


def test_all_faults_of_a_file_are_told_at_once_and_nothing_is_recorded(examined, tmp_path):
    run = examined(ROWS, {"b", "c"})
    path = tmp_path / "decisions.csv"
    path.write_text("row,decision,value\n1,release,\n77,reject,\n2,relabel,\n2,allow,\n")
    asks = decision_file.read(path, "anna")
    with pytest.raises(AssayError) as raised:
        recording.record(run, asks, "anna")
    for line, says in ((3, "no row 77"), (4, "needs a value"), (5, "unknown decision")):
        assert f"line {line}: " in raised.value.what
        assert says in raised.value.what
    assert run.store.ledger.head().kind == "run"


def test_a_file_names_no_other_reviewer(tmp_path):
    path = tmp_path / "decisions.csv"
    path.write_text("row,decision,reviewer\n1,release,ben\n")
    with pytest.raises(AssayError, match="names another reviewer"):
        decision_file.read(path, "anna")


def test_the_exported_file_can_be_filled_in_and_applied(examined, store, tmp_path, capsys):
    rows = [*ROWS, ("=f", "25", "y")]
    run = examined(rows, {"b", "c", "=f"})
    target = tmp_path / "out.csv"
    words = ["review", str(run.entry.seq), "--store", str(store.folder)]
    assert main([*words, "--export", str(target)]) == 0
    with target.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 3
    assert {line["row"] for line in lines} == {"1", "2", "5"}
    assert not any(cell.startswith(decision_file.FORMULAS) for line in lines
                   for cell in line.values())  # fmt: skip
    lines[0]["decision"] = "release"
    with target.open("w", newline="") as file:
        writer = csv.DictWriter(file, lines[0])
        writer.writeheader()
        writer.writerows(lines)
    assert main([*words, "--apply", str(target)]) == 0
    assert set(ReviewedRun.of(store, run.entry).standing) == {1}
    capsys.readouterr()
    for name, said in ((target, "give --export a name"), (tmp_path / "x" / "y", "with --export")):
        assert main([*words, "--export", str(name)]) != 0
        assert said in capsys.readouterr().err


def test_who_agrees_first_may_not_contradict_without_a_word_either(examined):
    run = examined(ROWS, {"b"})
    for reviewer in ("anna", "ben"):
        decide(ReviewedRun.of(run.store, run.entry), "release", "b", reviewer=reviewer)
    fresh = ReviewedRun.of(run.store, run.entry)
    with pytest.raises(AssayError, match="decided otherwise"):
        decide(fresh, "reject", "b", reviewer="ben")


def test_all_faults_of_a_file_are_told_each_with_its_line(tmp_path):
    path = tmp_path / ("long name " * 20) / "decisions.csv"
    path.parent.mkdir()
    path.write_text("row,decision,value\n" + "".join(f"{n},release,7\n" for n in range(12)))
    with pytest.raises(AssayError, match="12 decisions are refused: line 2: release") as caught:
        decision_file.read(path, "anna")
    assert caught.value.where == str(path)
    assert " ... " not in caught.value.what
    assert caught.value.what.endswith("more")
    assert caught.value.fix.endswith("write the other decision")


def test_a_value_that_the_decision_does_not_take_is_refused(tmp_path):
    path = tmp_path / "decisions.csv"
    path.write_text("row,decision,value\n1,release,\n2,release,7\n3,relabel,x\n")
    with pytest.raises(AssayError, match="release takes no value") as caught:
        decision_file.read(path, "anna")
    assert caught.value.where.endswith(":3")


def test_cells_that_may_be_personal_are_masked_until_they_are_asked_for(examined, store, capsys):
    rows = [("b.lee@example.org", "21", "y"), *ROWS]
    run = examined(rows, {"b.lee@example.org"}, column="key")
    words = ["review", str(run.entry.seq), "--list", "--store", str(store.folder)]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "lee" not in told
    assert "x.xxx@xxxxxxx.xxx" in told
    assert main([*words, "--show-values"]) == 0
    assert "b.lee@example.org" in capsys.readouterr().out
    facts = store.ledger.head().facts
    assert (facts["kind"], facts["shown"]) == ("access", {"rows": 1})


def test_the_record_of_a_decision_binds_it_to_content_key_and_accusers(examined, store):
    entry = decide(examined(ROWS, {"b"}), "release", "b")
    [line] = pq.read_table(store.review_file(entry.seq)).to_pylist()
    assert line["accused"] == ["outliers.joint age"]
    assert (line["copy"], len(line["row_id"]), len(line["key_id"])) == (0, 32, 32)
    assert entry.facts["groups"] == [{"key": "key"}]  # a key's value may be personal


def test_a_masked_number_is_not_taken_for_a_value():
    assert shown_cells.masked("99, b.lee@example.org") == "##, x.xxx@xxxxxxx.xxx"


def test_explain_shows_the_row_what_it_would_pass_by_and_the_clean_rows_like_it(
    examined, store, capsys
):
    rows = [*ROWS, ("f", "200", "x")]
    run = examined(rows, {"f"}, rule="age.maximum")
    words = ["explain", str(run.entry.seq), "5", "--store", str(store.folder), "--json"]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["values"] == {"key": "f", "age": "200", "kind": "x"}
    assert told["passing"] == ["age must be at most 130"]
    assert [item["row"] for item in told["nearest"]] == [4, 2, 0, 3, 1]  # its kind, then its age
    assert told["nearest"][0]["differs"] == {"age": "24"}
    assert main(words[:-1]) == 0
    assert "to pass   age must be at most 130" in capsys.readouterr().out


def test_the_usual_range_is_told_for_a_row_that_is_far_off(examined):
    rows = [(f"k{n}", str(20 + n), "x") for n in range(40)] + [("z", "120", "y")]
    run = examined(rows, {"z"})
    reasons = [item for item in run.rowed.to_pylist() if item["row"] == 40]
    assert advice.passing(run, reasons) == ["nine of ten clean rows have age between 22 and 57"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--decide", "release"], "exactly one of --row"),
        (["--decide", "release", "--row", "1", "--rule", "x"], "exactly one of --row"),
        (["--list", "--apply", "x.csv"], "cannot be combined"),
        (["--list", "--row", "1"], "--row has no meaning with --list"),
        (["--apply", "x.csv", "--as", " "], "must be one line"),
        (["--undo", "1", "--group", "aa"], "--group has no meaning with --undo"),
        (["--decide", "release", "--row", "9" * 30], "a whole number"),
        (["--decide", "release", "--group", "zz"], "no group"),
        (["--decide", "release", "--rule", "zz"], "accused by"),
        (
            ["--decide", "release", "--key", "zz=1"],
            "no column 'zz'\n  fix:   the primary key is 'key'",
        ),
        (["--undo", "77"], "records no decisions"),
    ],
)
def test_words_that_do_not_fit_together_are_refused(examined, store, capsys, words, says):
    run = examined(ROWS, {"b"})
    code = main(["review", str(run.entry.seq), "--store", str(store.folder), *words])
    assert code == 2
    assert says in capsys.readouterr().err
    assert store.ledger.head().kind == "run"


def test_the_account_decides_and_only_the_owner_names_another(examined, store, capsys, monkeypatch):
    run = examined(ROWS, {"b", "c"})
    monkeypatch.setenv("USER", "somebody")
    words = ["review", str(run.entry.seq), "--store", str(store.folder), "--decide", "release"]
    assert main([*words, "--row", "1"]) == 0
    assert store.ledger.head().facts["by"] == config.reviewer() != "somebody"
    assert main([*words, "--row", "2", "--as", "carla"]) == 0
    assert store.ledger.head().facts["by"] == "carla"
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    assert main([*words, "--row", "2", "--as", "carla"]) == 2
    assert "only for the owner" in capsys.readouterr().err


def test_a_row_that_a_decision_changed_is_not_taken_for_a_tampered_one(examined):
    run = examined(ROWS, {"b", "c", "d"})
    decide(run, "relabel", "b", value="x")
    decide(ReviewedRun.of(run.store, run.entry), "reject", "c")
    decide(ReviewedRun.of(run.store, run.entry), "release", "d")
    second = examined(ROWS, {"b", "c", "d"})
    says = [proofs.verify_row(second.store, second.entry, row) for row in ("1", "2", "3", "4")]
    assert not any(breaks for _, breaks in says)
    for told, word in zip(says, ("changed", "changed", "matches", "matches"), strict=True):
        assert word in told[0]


def test_the_gate_reuses_no_pass_that_is_older_than_a_decision_on_its_rows(examined):
    run = examined(ROWS, {"b"})
    other = examined([("q", "33", "x"), ("r", "34", "y")], {"q"})
    decide(other, "release", "q")
    assert not decisions.concern(run.store, run.entry, 0)
    assert decisions.concern(other.store, other.entry, 0)
    entry = decide(run, "release", "b")
    assert decisions.concern(run.store, run.entry, 0)
    assert not decisions.concern(run.store, run.entry, entry.seq)


def test_reviews_teach_how_often_a_rule_is_right(examined):
    rows = [(f"k{n:02}", str(20 + n), "x") for n in range(30)]
    run = examined(rows, {key for key, *_ in rows})
    decide(run, "release", *(key for key, *_ in rows[:9]))
    decide(ReviewedRun.of(run.store, run.entry), "reject", rows[9][0])
    again = ReviewedRun.of(run.store, run.entry)
    learnt = precision.precisions(again.history)["outliers.joint"]
    assert (learnt.wrong, learnt.reviewed) == (1, 10)
    low, high = learnt.interval()
    assert (round(low, 3), round(high, 3)) == (0.018, 0.404)  # Wilson's, for 1 of 10
    [group] = grouping.groups(again)
    assert group.likely == pytest.approx((1 + 4 * 0.9) / 14)
    assert "1 of 10 reviewed rows were wrong" in group.lesson.says()
    [fresh] = grouping.groups(examined([("z", "9", "x")], {"z"}, rule="poison.trigger"))
    assert (fresh.likely, fresh.lesson.says()) == (pytest.approx(0.9), "")


def test_a_value_that_a_later_contract_refuses_is_not_taken(examined, contract):
    run = examined(ROWS, {"b", "c"})
    decide(run, "correct", "b", column="age", value="120")
    decide(ReviewedRun.of(run.store, run.entry), "relabel", "c", value="z")
    text = CONTRACT.replace("maximum: 130", "maximum: 100")
    contract.write_text(
        text.replace("name: kind,", "name: kind, logicalTypeOptions: {maxLength: 9},")
    )
    second = examined(ROWS, {"b", "c"})
    assert (fates(second)["b"], clean(second)["c"]["kind"]) == ("quarantine", "z")
    [said] = [item for item in second.rowed.to_pylist() if item["rule"] == "ASSAY-K026"]
    assert (said["severity"], said["row"]) == ("warning", 1)
    assert "does not allow its value any more" in said["evidence"]


def test_a_label_keeps_its_column_when_another_becomes_the_label(examined, contract):
    decide(examined(ROWS, {"b"}), "relabel", "b", value="z")
    role = "customProperties: [{property: assay.role, value: label}]"
    text = CONTRACT.replace(f", {role}", "").replace("maximum: 130}", "maximum: 130}, " + role)
    contract.write_text(text)
    assert clean(examined(ROWS, {"b"}))["b"] == {"key": "b", "age": 21, "kind": "z"}


def test_of_a_relabel_and_a_correction_of_the_label_the_later_stands(examined):
    decide(examined(ROWS, {"b"}), "relabel", "b", value="u")
    decide(examined(ROWS, {"b"}), "correct", "b", column="kind", value="w")
    assert clean(examined(ROWS, {"b"}))["b"]["kind"] == "w"


def test_what_was_redacted_stays_redacted_though_nothing_accuses_it(examined):
    rows = [("call joe@example.org", "20", "x"), *ROWS]
    run = examined(rows, {rows[0][0]}, rule="pii.EMAIL_ADDRESS", column="key")
    recording.record(run, [Ask(Selection(row="0"), "redact")], "anna")
    [held] = [key for key in clean(examined(rows, set())) if key not in "abcde"]
    assert "joe" not in held


def test_a_row_that_an_earlier_decision_rejected_is_released_by_undoing_that(examined):
    decide(examined(ROWS, {"b"}), "reject", "b")
    second = examined(ROWS, {"b"})
    with pytest.raises(AssayError, match="rejected before run"):
        decide(second, "release", "b", overrule=True, reason="looked")
    decide(second, "undo", "b")
    assert fates(examined(ROWS, {"b"}))["b"] == "quarantine"


def test_an_expired_rejection_is_asked_anew_though_nothing_accuses_the_row(
    examined, contract, monkeypatch
):
    decide(examined(ROWS, {"b"}), "reject", "b")
    policy(contract, decisions_valid="30d")
    monkeypatch.setattr(decisions, "now", lambda: "2999-01-01T00:00:00+00:00")
    second = examined(ROWS, set())
    assert [group.reasons[0]["rule"] for group in grouping.groups(second)] == ["ASSAY-K026"]


def test_personal_texts_in_nested_cells_are_seen_and_nested_cells_are_no_distance():
    cells = pa.chunked_array([pa.array([{"email": "anna.lee@example.org", "age": 3}])])
    assert shown_cells.holds_private("person", cells)
    assert not shown_cells.holds_private("person", pa.chunked_array([pa.array([[1, 2]])]))
    lists = pa.chunked_array([pa.array([["a"], ["b"]])])
    assert nearest._apart(lists, lists.slice(0, 1)) is None
    assert reviewed_run.texts_of(lists).to_pylist() == ["['a']", "['b']"]
