"""Given chances: faults of a row and of the whole column, and labels judged by them."""

import numpy as np
import pyarrow as pa
import pytest
from rows_with_roles import contract_of, judged, rows_by_rule
from sklearn.metrics import average_precision_score

from checks.contract.loader import load
from checks.kit import class_chances, vectors
from checks.kit.vectors import folded
from checks.labels import Labels, given_chances
from checks.probabilities import Probabilities
from provenance.base.errors import AssayError

ROLES = {"p": "probabilities", "y": "label"}
CLASSES = ("bird", "cat", "dog")


def chances(rows=600, wrong=0.05, seed=0):
    """Return chances of a model that is mostly right, labels, and which of these are wrong."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, 3, rows)
    logits = rng.normal(0, 1.3, (rows, 3))
    logits[np.arange(rows), true] += 4
    made = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    hit = rng.random(rows) < wrong
    return made, np.where(hit, (true + rng.integers(1, 3, rows)) % 3, true), hit


def table(made, given, names=CLASSES):
    labels = pa.array([None if code is None else names[code] for code in given], pa.string())
    cells = [None if row is None else list(row) for row in made]
    return pa.table({"p": pa.array(cells, pa.list_(pa.float64())), "y": labels})


def test_bad_lists_are_held_and_near_misses_are_not():
    made, given, _ = chances(60)
    cells = [list(row) for row in made]
    cells[3] = cells[3][:2]
    cells[4] = [*cells[4], 0.0]
    cells[5] = []
    cells[6] = [0.5, None, 0.5]
    cells[7] = [1.2, -0.2, 0.0]
    cells[8] = [0.0, 0.0, 0.0]
    cells[9] = [0.5, 0.5, 0.5]
    cells[10] = None
    cells[11] = [0.33, 0.33, 0.33]
    cells[12] = [0, 1, 0]
    found, _ = judged(Probabilities, table(cells, given), **ROLES)
    assert rows_by_rule(found) == {
        "probabilities.length": [3, 4, 5],
        "probabilities.value": [6, 7],
        "probabilities.sum": [8, 9],
    }
    assert set(found["severity"].to_pylist()) == {"error"}
    for sizes in [(20,), (0, 7, 30)]:
        assert judged(Probabilities, table(cells, given), sizes, **ROLES)[0].equals(found)


@pytest.mark.parametrize(
    "change",
    [
        lambda made, given: (made[:, :2] / made[:, :2].sum(1, keepdims=True), given),
        lambda made, given: (np.log(made), given),
        lambda made, given: (100 * made, given),
        lambda made, given: (made[:, [1, 0, 2]], given),
        lambda made, given: (made[:, [1, 2, 0]], given),
    ],
    ids=["too short", "logarithms", "percent", "two places swapped", "all places moved"],
)
def test_chances_that_do_not_fit_the_classes_are_one_coded_error(change):
    made, given, _ = chances()
    wrong = table(*change(made, given))
    found, _ = judged(Probabilities, wrong, **ROLES)
    assert rows_by_rule(found) == {"ASSAY-V021": [None]}
    assert found["severity"].to_pylist() == ["error"]
    held, model = judged(Labels, wrong, **ROLES)
    assert len(held) == 0
    assert "not judged" in model.notes[0]


def test_the_stated_order_counts_and_numbers_are_sorted_as_numbers():
    made, given, _ = chances()
    assert len(judged(Probabilities, table(made, given), **ROLES)[0]) == 0
    turned = table(made[:, [2, 0, 1]], given)
    stated = ("dog", "bird", "cat")
    assert len(judged(Probabilities, turned, classes=stated, **ROLES)[0]) == 0
    assert judged(Labels, turned, classes=stated, **ROLES)[0].num_rows
    numbered = table(made, given).set_column(1, "y", pa.array(np.array([2, 9, 10])[given]))
    assert len(judged(Probabilities, numbered, **ROLES)[0]) == 0


def test_a_class_that_is_always_missed_is_no_wrong_order():
    made, given, _ = chances(600)
    made[given == 0] = made[given == 0][:, [1, 0, 2]]  # taken for class 1, which stays in place
    assert len(judged(Probabilities, table(made, given), **ROLES)[0]) == 0


def test_no_label_and_no_rows():
    made, _, _ = chances(30)
    alone = table(made, [0] * 30).drop_columns(["y"])
    assert len(judged(Probabilities, alone, p="probabilities")[0]) == 0
    assert len(judged(Probabilities, table([], []), **ROLES)[0]) == 0
    assert len(judged(Labels, table([], []), **ROLES)[0]) == 0
    unlabelled = table(made, [None] * 30)
    assert rows_by_rule(judged(Probabilities, unlabelled, **ROLES)[0]) == {"ASSAY-V021": [None]}


def test_labels_are_judged_by_the_chances_alone():
    made, given, wrong = chances(1500, seed=3)
    noise = pa.array(np.random.default_rng(1).normal(size=1500))
    both = table(made, given).append_column("x", noise)
    found, model = judged(Labels, both, **ROLES)
    held = found.filter(pa.array([s == "error" for s in found["severity"].to_pylist()]))
    rows = held["row"].to_numpy()
    assert len(rows) >= 0.5 * wrong.sum()
    assert wrong[rows].mean() >= 0.85
    assert abs((1 - wrong[rows].mean()) - np.mean(held["p_value"].to_pylist())) < 0.1
    assert judged(Labels, table(made, given), **ROLES)[1].notes == model.notes
    again, _ = judged(Labels, both, (0, 400, 700), **ROLES)
    assert again.equals(found)


def test_rows_without_chances_are_not_judged():
    made, given, _ = chances(900)
    cells = [None if n % 10 == 0 else list(row) for n, row in enumerate(made)]
    cells[1] = [0.2, 0.2]
    found, model = judged(Labels, table(cells, given), **ROLES)
    assert not {n for n in found["row"].to_pylist() if n % 10 == 0 or n == 1}
    assert "91 labels not judged" in model.notes[-1]


def test_correct_labels_are_not_held():
    for seed in range(3):
        made, given, _ = chances(1500, wrong=0, seed=seed)
        found, _ = judged(Labels, table(made, given), **ROLES)
        assert found["severity"].to_pylist().count("error") <= 3


@pytest.mark.parametrize("seed", range(3))
def test_the_rank_is_at_least_that_of_cleanlab(seed):
    from cleanlab.rank import get_label_quality_scores

    made, given, wrong = chances(2000, wrong=0.05, seed=seed)
    made = made**2 * [1, 3, 0.5]  # too certain, and partial to a class
    made /= made.sum(1, keepdims=True)
    _, model = judged(Labels, table(made, given), **ROLES)
    ours = average_precision_score(wrong, model.ranking.score(made, given))
    theirs = average_precision_score(wrong, -get_label_quality_scores(given, made))
    assert ours >= theirs


def test_chances_of_zero_are_as_small_as_the_model_can_tell():
    made, given, _ = chances(400)
    votes = np.round(made * 10) / 10
    votes[:, 0] += 1 - votes.sum(1)
    votes = np.clip(votes, 0, 1)
    rows = table(votes, given)
    whole = rows.set_column(0, "p", vectors.lists(rows["p"]))
    found = given_chances.of(contract_of(rows, **ROLES), whole, frozenset(CLASSES), CLASSES)
    assert found.least == pytest.approx(0.05, rel=1e-5)
    assert found.predict(whole, None).min() == pytest.approx(0.05, rel=1e-5)


def test_folding_keeps_distances_and_each_row_to_itself():
    values = np.random.default_rng(0).normal(size=(40, 3000)).astype(np.float32)
    small = folded(values, 512)
    far, near = (np.linalg.norm(v[1:] - v[0], axis=1) for v in (values, small))
    assert np.abs(near / far - 1).max() < 0.15
    assert np.array_equal(folded(values[7:9], 512), small[7:9])


HEAD = """
apiVersion: v3.1.0
kind: DataContract
name: t
schema:
  - name: t
    properties:
      - name: y
        customProperties:
          - {property: assay.role, value: label}
          - {property: assay.label, value: {classes: CLASSES}}
      - name: p
        logicalType: array
        items: {logicalType: number}
        customProperties: [{property: assay.role, value: probabilities}]
"""


@pytest.mark.parametrize(("given", "code"), [("[a, b]", None), ("[3, 1]", None), ("[]", "C005"),
                                             ("[a, a]", "C008"), ("a", "C005")])  # fmt: skip
def test_the_contract_states_the_classes(tmp_path, given, code):
    (tmp_path / "c.yaml").write_text(HEAD.replace("CLASSES", given))
    if code:
        with pytest.raises(AssayError, match=code):
            load(tmp_path / "c.yaml")
        return
    contract = load(tmp_path / "c.yaml")
    assert contract.column("y").classes == tuple(given.strip("[]").split(", "))
    assert class_chances.classes_of(contract, set()) == contract.column("y").classes


def test_two_columns_of_chances_are_refused(tmp_path):
    text = HEAD.replace("CLASSES", "[a, b]")
    second = text[text.index("      - name: p") :].replace("p\n", "q\n", 1)
    (tmp_path / "c.yaml").write_text(text + second)
    with pytest.raises(AssayError, match="C008"):
        load(tmp_path / "c.yaml")
