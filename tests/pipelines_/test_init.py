"""A proposed contract loads, passes on its own source, and claims no more than was seen."""

import csv
import datetime as dt
import os
import shlex
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from proposed_contracts import judged, proposed, write_csv

from pipelines import cli
from pipelines.proposal.contract_yaml import scalar
from provenance.base import atomic
from provenance.base.errors import AssayError

TABLES = Path(__file__).parents[2].parent / "shared" / "data" / "tables"


def kinds(contract):
    return {column.name: column.spec.logical for column in contract.columns}


TYPES = [
    (["1", "-2", "0"], "integer"),
    (["9223372036854775807", "-9223372036854775808"], "integer"),
    (["9223372036854775808", "1"], "string"),
    (["01", "2"], "string"),
    (["+1", "2"], "string"),
    (["1.5", "2", ".5"], "number"),
    (["1.5", "2e3"], "number"),
    (["1e5", "2"], "string"),
    (["1e5", "1E6"], "string"),
    (["1.5", "12345678901234567"], "string"),
    (["1,5", "2,5"], "number"),  # with assay.csv: {decimal: ","}
    (["2024-01-31", "2024-02-29"], "date"),
    (["2024-01-31", "2024-02-30"], "string"),
    (["2024-01-31T10:00:00", "2024-01-31 11:00"], "timestamp"),
    (["10:00", "11:30:01"], "time"),
    (["True", "False"], "string"),
    (["true", "T"], "string"),
    (["NA", "null"], "string"),
    (["1", "x"], "string"),
    (["", ""], "string"),
]


@pytest.mark.parametrize(("cells", "kind"), TYPES)
def test_types_are_proposed_only_when_nothing_is_lost(tmp_path, cells, kind):
    cells = cells * 100  # few whole numbers may yet meet a fraction
    path = write_csv(tmp_path / "x.csv", {"v": cells, "w": ["a"] * len(cells)})
    assert kinds(proposed(path, tmp_path / "a")[0])["v"] == kind


def test_words_for_missing_are_proposed_for_numbers_only(tmp_path):
    cells = ["1", "2", "NA", "4"] * 60
    path = write_csv(tmp_path / "x.csv", {"n": cells, "s": ["a", "NA", "b", "c"] * 60})
    contract, _, _ = proposed(path, tmp_path / "a")
    assert contract.column("n").spec.missing == ("NA",)
    assert contract.column("n").spec.logical == "integer"
    assert not contract.column("n").spec.required
    assert contract.column("s").spec.missing == ()
    assert judged(contract, path, tmp_path) == []


def people(rows=400):
    cities = ["Oslo", "Rome", "yes", "it's: #1"]
    return {
        "customer_id": [f"C{i:05d}" for i in range(rows)],
        "age": [18 + i % 50 for i in range(rows)],
        "income": [f"{1000 + i * 7.25:.2f}" for i in range(rows)],
        "city": [cities[i % 4] for i in range(rows)],
        "branch": ["north" if i % 3 else "south" for i in range(rows)],
        "created_at": [f"2024-01-{1 + i % 28:02d}" for i in range(rows)],
        "note": [f"this is the note of row number {i}" for i in range(rows)],
        "copy": ["A" if i % 7 < 3 else "B" for i in range(rows)],
        "nothing": [""] * rows,
        "label": ["good" if i % 7 < 3 else "bad" for i in range(rows)],
    }


def test_a_whole_proposal(tmp_path):
    path = write_csv(tmp_path / "people.csv", people())
    contract, summary, text = proposed(path, tmp_path / "a")
    assert contract.label == "label"
    assert summary["label"] == "label"
    assert summary["key"] == "customer_id"
    assert [c.name for c in contract.columns if c.key] == ["customer_id"]
    assert contract.having("text") == ("note",)
    assert contract.having("source") == ("branch",)
    assert contract.having("time") == ("created_at",)
    assert contract.having("ignore") == ("copy", "nothing")
    assert contract.column("city").valid_values == ("Oslo", "Rome", "it's: #1", "yes")
    ends = {r.id: r.params["value"] for r in contract.rules if r.kind in ("minimum", "maximum")}
    assert (ends["age.minimum"], ends["age.maximum"]) == (13, 72)  # a tenth beyond 18 and 67
    assert ends["income.minimum"] >= 0
    assert contract.source == str(path)
    assert summary["check"] == text.count("# check:") >= 5
    assert judged(contract, path, tmp_path) == []


def test_a_source_elsewhere_is_left_out(tmp_path):
    (tmp_path / "far").mkdir()
    path = write_csv(tmp_path / "far" / "people.csv", people(30))
    (tmp_path / "near").mkdir()
    contract, _, text = proposed(path, tmp_path / "near" / "a")
    assert contract.source is None
    assert "--source" in text


@pytest.mark.parametrize("given", ["lable", "custmer_id"])
def test_unknown_columns_are_refused_with_the_nearest_name(tmp_path, given):
    path = write_csv(tmp_path / "x.csv", people(30))
    option = {"label": given} if given == "lable" else {"key": given}
    with pytest.raises(AssayError) as caught:
        proposed(path, tmp_path / "a", **option)
    assert (caught.value.code, caught.value.exit_code) == ("ASSAY-C007", 2)
    assert ("label" if given == "lable" else "customer_id") in caught.value.fix


def test_a_given_key_is_taken_at_its_word_and_its_repeats_are_named(tmp_path):
    columns = people(60)
    columns["customer_id"][40] = columns["customer_id"][7]
    path = write_csv(tmp_path / "x.csv", columns)
    contract, summary, _ = proposed(path, tmp_path / "a", key="customer_id")
    assert contract.column("customer_id").key
    assert summary["key"] == "customer_id"
    assert any("'customer_id'" in note and "7, 40" in note for note in summary["notes"])
    held = {item["row"] for item in judged(contract, path, tmp_path)}
    assert held == {7, 40}
    assert summary["breaking"] == 2
    contract, _, _ = proposed(path, tmp_path / "b", key="note")
    assert contract.column("note").key


def test_a_label_is_guessed_from_clear_names_only(tmp_path):
    columns = {"kind": ["a", "b"] * 20, "v": ["1", "2", "3", "4"] * 10}
    path = write_csv(tmp_path / "x.csv", columns)
    contract, summary, _ = proposed(path, tmp_path / "a")
    assert contract.label is None
    assert any("--label" in note for note in summary["notes"])
    path = write_csv(tmp_path / "y.csv", {**columns, "y": ["0", "1", "1", "0", "1"] * 8})
    contract, _, text = proposed(path, tmp_path / "b")
    assert contract.label == "y"
    assert "recognised by its name" in text


def test_parquet_keeps_its_own_types(tmp_path):
    rows = 40
    table = pa.table(
        {
            "code": [str(i) for i in range(rows)],
            "flag": [i % 2 == 0 for i in range(rows)],
            "small": pa.array(range(rows), pa.int16()),
            "when": pa.array([dt.datetime(2024, 1, 1, 3)] * rows, pa.timestamp("ms")),  # noqa: DTZ001
            "kind": pa.array(["a", "b"] * 20).dictionary_encode(),
            "x": [float(i) if i else float("nan") for i in range(rows)],
        }
    )
    path = tmp_path / "x.parquet"
    pq.write_table(table, path)
    contract, _, _ = proposed(path, tmp_path / "a")
    assert kinds(contract) == {
        "code": "string",
        "flag": "boolean",
        "small": "integer",
        "when": "timestamp",
        "kind": "string",
        "x": "number",
    }
    found = judged(contract, path, tmp_path)
    # a NaN is no value, and no contract makes it one
    assert {item["row"] for item in found} <= {0}


cells = st.one_of(
    st.sampled_from(["", "NA", "0", "007", "-1", "1.5", "1e5", "True", "2024-01-01", "x y", "#"]),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=8),
    st.integers(-(2**70), 2**70).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(str),
)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(cells, cells, st.integers(-9, 9).map(str)), min_size=1, max_size=30))
def test_few_rows_pass_on_their_own_contract(tmp_path_factory, drawn):
    folder = tmp_path_factory.mktemp("any")
    columns = dict(zip(("a", 'b "odd": #', "n"), map(list, zip(*drawn, strict=True)), strict=True))
    path = folder / "x.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([columns, *drawn])
    contract, _, _ = proposed(path, folder / "a")
    few = [item for item in judged(contract, path, folder) if item.get("rule") != "rowCount"]
    assert few == []


@given(st.one_of(st.text(), st.integers(), st.booleans(), st.floats(allow_nan=False)))
def test_every_value_reads_back_as_itself(value):
    from checks.contract.yaml_reader import parse

    if value in (float("inf"), float("-inf")) or (isinstance(value, str) and _unencodable(value)):
        return
    node = parse(f"a: [{scalar(value)}]\n".encode(), "x").value["a"].value[0]
    assert node.value == value
    assert type(node.value) is type(value)


def _unencodable(text):
    return any("\ud800" <= char <= "\udfff" or char == "\0" for char in text)


def test_what_no_contract_may_hold_is_not_proposed(tmp_path):
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({"kind": ["a\0b", "c"] * 200}), path)
    contract, _, text = proposed(path, tmp_path / "a")
    assert "validValues" not in text
    assert [column.name for column in contract.columns] == ["kind"]
    pq.write_table(pa.table({"ki\0nd": ["a", "c"] * 200}), path)
    with pytest.raises(AssayError, match="I023"):
        proposed(path, tmp_path / "b")


@pytest.mark.parametrize(
    ("name", "label", "leaks"), [("titanic", "survived", ["alive"]), ("diamonds", "cut", [])]
)
def test_real_tables(tmp_path, name, label, leaks):
    path = TABLES / f"{name}.csv"
    if not path.exists():
        pytest.skip("the shared tables are not here")
    contract, summary, text = proposed(path, tmp_path / "a", label=label)
    assert contract.label == label
    assert list(contract.having("ignore")) == leaks
    assert contract.source is None
    assert summary["columns"] == len(contract.columns)
    assert all(f"'{leak}' is ignored" in " ".join(summary["notes"]) for leak in leaks)
    assert "# check:" in text
    held = {item["row"] for item in judged(contract, path, tmp_path)}
    assert held == impossible(path) if name == "diamonds" else held == set()


def impossible(path):
    """The diamonds with no height, with one ten times too large, or with an absurd depth."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {
        number for number, row in enumerate(rows)
        if float(row["z"]) == 0 or float(row["z"]) > 30 or float(row["y"]) > 50
        or float(row["depth"]) < 45
    }  # fmt: skip


def test_the_first_half_of_a_table_speaks_for_the_second(tmp_path):
    path = TABLES / "diamonds.csv"
    if not path.exists():
        pytest.skip("the shared tables are not here")
    lines = path.read_text().splitlines(keepends=True)
    half = tmp_path / "half.csv"
    half.write_text("".join([lines[0], *lines[1::2]]))
    contract, _, _ = proposed(half, tmp_path / "a", label="cut")
    found = judged(contract, path, tmp_path)
    assert len({item["row"] for item in found} - impossible(path)) <= 5


def test_what_may_tell_of_a_person_is_noted_and_not_decided(tmp_path):
    columns = {
        "surname": [f"Name{n}" for n in range(60)],
        "age": [str(20 + n % 50) for n in range(60)],
        "amount": [str(n * 10) for n in range(60)],
    }
    path = write_csv(tmp_path / "in.csv", columns)
    contract, _, text = proposed(path, tmp_path / "work")
    lines = text.splitlines()
    surname, age, amount = (
        next(n for n, line in enumerate(lines) if f"name: {name}" in line) for name in columns
    )
    assert any("names of persons: set assay.pii" in line for line in lines[:surname])
    assert any("value: quasi_identifier" in line for line in lines[surname:age])
    assert not any("quasi_identifier" in line for line in lines[age:amount])
    assert contract.protected == frozenset()


def test_the_command_to_copy_runs_nothing_that_a_name_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    name = "a; touch planted; $(touch planted) \x1b[2J.csv"
    (tmp_path / name).write_text("x,y\n" + "".join(f"{n},{n % 7}\n" for n in range(40)))
    assert cli.main(["init", name, "-o", "it's; touch planted.yaml"]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    command = said.splitlines()[-1].partition("`")[2].rstrip("`")
    subprocess.run(f"assay() {{ :; }}; {command}", shell=True, cwd=tmp_path, check=True)  # noqa: S602
    assert not (tmp_path / "planted").exists()
    words = shlex.split(command)
    assert words[:3] == ["assay", "run", "it's; touch planted.yaml"]
    assert len(words) == 5


def test_a_contract_is_written_through_no_link_that_lies_in_wait(tmp_path):
    (tmp_path / "victim").write_text("theirs")
    (tmp_path / f".c.yaml.{os.getpid()}").symlink_to(tmp_path / "victim")
    atomic.write_output(tmp_path / "c.yaml", b"ours")
    assert (tmp_path / "victim").read_text() == "theirs"
    assert (tmp_path / "c.yaml").read_text() == "ours"


def test_a_date_that_no_calendar_has_takes_no_part_in_the_range(tmp_path):
    """A database's `infinity` comes as the last day its integers reach; a run holds the row."""
    days = pa.array([*range(18_000, 18_059), 2**31 - 1], pa.int32()).view(pa.date32())
    path = tmp_path / "days.parquet"
    pq.write_table(pa.table({"day": days, "n": list(range(60))}), path, write_page_checksum=True)
    contract, _, _ = proposed(path, tmp_path / "a")
    assert contract.column("day").spec.logical == "date"
    assert not [rule for rule in contract.rules if "2147483647" in str(rule.params)]
