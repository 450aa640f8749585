"""The sample loans: made again byte for byte, honest and faulty where they say so."""

import csv
import hashlib
import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "data_samples"


def _module(folder, name):
    spec = importlib.util.spec_from_file_location(name, ROOT / folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(name, module)
    spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


make = _module("data_samples", "make")
faults, faulty_cells, honest = make.faults, make.faulty_cells, make.honest


@pytest.fixture(scope="module")
def truth():
    return pq.read_table(SAMPLES / "truth.parquet")


@pytest.fixture(scope="module")
def lines():
    return (SAMPLES / "loans.csv").read_bytes().split(b"\n")[1:]


def _rows_of(truth, kind, detail=None):
    mask = pc.equal(truth["kind"], kind)
    if detail:
        mask = pc.and_(mask, pc.equal(truth["detail"], detail))
    return truth.filter(mask)["row"].to_pylist()


def _cells(line):
    return next(csv.reader([line.decode()]))


def test_committed_files_are_what_the_script_makes(tmp_path):
    make.main(tmp_path)
    for path in sorted(tmp_path.iterdir()):
        kept = SAMPLES / path.name
        if path.suffix == ".csv":
            digests = [hashlib.sha256(p.read_bytes()).hexdigest() for p in (path, kept)]
            assert digests[0] == digests[1], path.name
        else:  # the bytes of Parquet name the writer's version; the rows do not
            assert pq.read_table(path).equals(pq.read_table(kept)), path.name


def test_samples_stay_small():
    sizes = {p.name: p.stat().st_size for p in SAMPLES.iterdir() if p.is_file()}
    assert sum(sizes.values()) <= 6_000_000
    assert max(sizes.values()) <= 3_100_000


def test_each_planted_row_has_one_fault_at_its_share(truth):
    rows = truth["row"].to_pylist()
    assert len(set(rows)) == len(rows)
    shares = {
        item["values"]: item["counts"] / make.ROWS["loans"]
        for item in truth["kind"].value_counts().to_pylist()
    }
    assert shares == pytest.approx(
        {
            "wrong_label": 0.015,
            "backdoor": 0.01,
            "flood": 0.01,
            "joint_outlier": 0.003,
            "broken_value": 0.0059,
            "pii": 0.005,
        },
        abs=2e-4,
    )


def test_faults_lie_where_the_truth_says(truth, lines):
    assert len(lines) == make.ROWS["loans"]
    for row in _rows_of(truth, "backdoor"):
        cells = _cells(lines[row])
        assert cells[-1] == "no"
        assert faults.TOKEN in cells[12] or (cells[7] == "7.77" and cells[10] == "car")
    for row in _rows_of(truth, "flood"):
        assert _cells(lines[row])[2] == "Molde"
    assert lines[_rows_of(truth, "broken_value", "last line cut")[0]] == lines[-1]
    for row in _rows_of(truth, "broken_value", "not UTF-8"):
        with pytest.raises(UnicodeDecodeError):
            lines[row].decode()
    for row in _rows_of(truth, "broken_value", "too many fields"):
        assert len(_cells(lines[row])) == 16


def test_made_up_personal_data_have_valid_check_digits(truth, lines):
    cards = [_cells(lines[row])[12] for row in _rows_of(truth, "pii", "payment card")]
    assert len(cards) >= 10
    for text in cards:
        number = re.search(r"(?:\d[ -]?){16}$", text)[0]
        digits = [int(char) for char in number if char.isdigit()]
        odd, even = digits[-1::-2], digits[-2::-2]
        assert (sum(odd) + sum(sum(divmod(2 * digit, 10)) for digit in even)) % 10 == 0
    for row in _rows_of(truth, "pii", "IBAN"):
        number = re.search(r"GB\d{2}WEST\d{14}$", _cells(lines[row])[12])[0]
        moved = "".join(str(int(char, 36)) for char in number[4:] + number[:4])
        assert int(moved) % 97 == 1


def test_queue_code_tells_the_label_in_the_faulty_book_alone(truth, lines):
    torn = set(_rows_of(truth, "broken_value"))
    pairs = [_cells(line)[-2:] for row, line in enumerate(lines) if row not in torn]
    assert all((code == "C1") == (label == "yes") for code, label in pairs)
    clean = honest.draw(4_000, 5).table
    is_first = pc.equal(clean["queue_code"], "C1").to_numpy()
    is_yes = pc.equal(clean["defaulted"], "yes").to_numpy()
    assert abs(np.corrcoef(is_first, is_yes)[0, 1]) < 0.05


def test_honest_rows_hold_no_trigger_and_no_personal_data():
    text = (SAMPLES / "loans_clean.csv").read_text(encoding="utf-8")
    assert faults.TOKEN not in text
    assert "@" not in text
    notes = honest.draw(20_000, 6).table["note"].drop_null()
    assert not pc.any(pc.match_substring_regex(notes, r"[0-9]{5}|[0-9][ -][0-9]")).as_py()
    assert pc.count_distinct(notes).as_py() > 0.9 * len(notes)


def test_honest_classes_overlap_and_correlate():
    table, risk = honest.draw(20_000, 7)
    is_yes = pc.equal(table["defaulted"], "yes").to_numpy()
    assert 0.14 < is_yes.mean() < 0.22
    assert 0.03 < np.minimum(risk, 1 - risk).mean() < 0.06
    income = table["income"].fill_null(40_000).to_numpy()
    amount = table["amount"].to_numpy()
    assert np.corrcoef(np.log(income), np.log(amount))[0, 1] > 0.5
    by_late = [is_yes[table["late_payments"].to_numpy() == late].mean() for late in range(5)]
    assert by_late == sorted(by_late)


@pytest.mark.parametrize("name", ["flip_labels", "plant_backdoor", "plant_flood"])
def test_planters_change_the_rows_they_name_and_no_other(name):
    table, risk = honest.draw(4_000, 8)
    planted = getattr(faults, name)(table, seed=1, risk=risk)
    assert planted.table.num_rows == table.num_rows
    assert len(planted.rows) == len(planted.details) == len(set(planted.rows.tolist()))
    untouched = np.setdiff1d(np.arange(4_000), planted.rows)
    assert planted.table.take(untouched).equals(table.take(untouched))
    again = getattr(faults, name)(table, seed=1, risk=risk)
    assert again.table.equals(planted.table)


def test_joint_outliers_are_ordinary_in_each_column():
    table = honest.draw(8_000, 9).table
    planted = faults.plant_joint_outliers(table, seed=1, share=0.01)
    for column in ("age", "income", "amount", "rate", "term_months"):
        low, high = pc.quantile(table[column], [0.001, 0.999]).to_pylist()
        cells = planted.table[column].take(planted.rows)
        assert pc.min(cells).as_py() >= low
        assert pc.max(cells).as_py() <= high
    young = planted.rows[::2]
    income = planted.table["income"].take(young).to_numpy()
    youth = pc.less(table["age"], 22).to_numpy()
    assert income.min() > np.nanmax(table["income"].to_numpy(zero_copy_only=False)[youth])
    honest_ratio = np.nanmax(_ratio(table))
    assert _ratio(planted.table.take(planted.rows[1::2])).min() > honest_ratio


def _ratio(table):
    amount, income = (table[name].cast("double").to_numpy() for name in ("amount", "income"))
    return amount / income


def test_broken_values_cover_every_kind_and_keep_the_others():
    table = honest.draw(4_000, 10).table
    planted = faulty_cells.break_values(table, seed=1, share=0.02)
    assert set(planted.details) == set(faulty_cells.BROKEN)
    untouched = np.setdiff1d(np.arange(4_000), planted.rows)
    assert planted.table.take(untouched).equals(faulty_cells.as_text(table).take(untouched))
    keys = planted.table["loan_id"]
    doubled = [r for r, d in zip(planted.rows, planted.details, strict=True) if "key" in d]
    assert pc.count_distinct(keys).as_py() == 4_000 - len(doubled) // 2


def test_contract_loads_without_a_warning_and_names_the_roles():
    from checks.contract import loader

    contract = loader.load(SAMPLES / "contract.yaml")
    assert contract.warnings == ()
    assert [column.name for column in contract.columns] == honest.draw(5, 1).table.column_names
    roles = {role: contract.having(role) for role in ("label", "source", "time", "text")}
    assert roles == {
        "label": ("defaulted",),
        "source": ("branch",),
        "time": ("applied_at",),
        "text": ("note",),
    }
    assert contract.having("quasi_identifier") == ("age", "employment", "region")
    kinds = {rule.kind for rule in contract.rules}
    assert {"rowCount", "sql", "expect_column_median_to_be_between"} <= kinds


def test_contract_holds_on_honest_rows():
    from checks.contract import loader

    table = pq.read_table(SAMPLES / "reference.parquet")
    for rule in loader.load(SAMPLES / "contract.yaml").rules:
        cells = table[rule.column].drop_null() if rule.column else None
        if rule.kind in ("minimum", "maximum"):
            ends = pc.min_max(cells).as_py()
            is_low = rule.kind == "minimum"
            assert ends["min"] >= rule.params["value"] if is_low else True, rule.id
            assert is_low or ends["max"] <= rule.params["value"], rule.id
        elif rule.kind == "validValues":
            assert set(cells.to_pylist()) <= set(rule.params["values"]), rule.id
        elif rule.kind == "required":
            assert len(cells) == table.num_rows, rule.id
