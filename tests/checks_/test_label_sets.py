"""Lists of labels: planted errors are found, clean lists are not held, cuts change nothing."""

import functools

import numpy as np
import pyarrow as pa
from rows_with_roles import contract_of, judged, rows_by_rule, shards_of

from checks.kit.protocol import Context
from checks.label_sets import LEAST, MOST_CLASSES, LabelSets, _classes
from provenance.rows.nested import flat_names

ROLES = {"labels": "labels"}
LISTS = pa.list_(pa.string())


def drawn(rows=1_000, classes=3, seed=0):
    """Return columns, and labels of the rows beyond a border."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, 6))
    turn = rng.normal(size=(6, classes)) / np.sqrt(6)
    return values, values @ turn + rng.normal(0, 0.05, (rows, classes)) > 0.5


def table_of(values, has, **more):
    lists = [[f"l{place}" for place in np.flatnonzero(row)] for row in has]
    columns = {f"f{place}": column for place, column in enumerate(values.T)}
    return pa.table(columns | {"labels": pa.array(lists, LISTS)} | more)


def planted(has, seed=0):
    """Return labels of which a few rows lack one, and others have one too many."""
    rng = np.random.default_rng(seed)
    made = has.copy()
    lose = rng.choice(np.flatnonzero(has.any(1)), 36, replace=False)
    gain = rng.choice(np.setdiff1d(np.flatnonzero(~has.all(1)), lose), 36, replace=False)
    for row in (*lose, *gain):
        place = rng.choice(np.flatnonzero(has[row] == (row in lose)))
        made[row, place] = not has[row, place]
    return made, (has & ~made).any(1), (made & ~has).any(1)


@functools.cache
def dirty():
    values, has = drawn()
    made, lost, gained = planted(has)
    table = table_of(values, made)
    return table, lost, gained, judged(LabelSets, table, **ROLES)


def test_planted_errors_are_found_and_named():
    _, lost, gained, (found, model) = dirty()
    rows = rows_by_rule(found)
    missing, contradicted = rows["label_sets.missing"], rows["label_sets.contradicted"]
    assert lost[missing].sum() >= 0.6 * lost.sum()
    assert gained[contradicted].sum() >= 0.6 * gained.sum()
    held = [item["row"] for item in found.to_pylist() if item["severity"] == "error"]
    assert len(held) >= 25
    assert (lost | gained)[held].mean() >= 0.85
    assert "3 labels judged" in model.notes[0]


def test_the_label_that_was_changed_is_the_one_to_add_or_remove():
    _, _, _, (found, _) = dirty()
    _, has = drawn()
    made, lost, gained = planted(has)
    named = {item["row"]: item["suggestion"] for item in found.to_pylist()}
    wrong = np.flatnonzero(lost | gained)
    right = [
        f"{'add' if lost[row] else 'remove'} 'l{(has[row] != made[row]).argmax()}'" in named[row]
        for row in wrong
        if row in named
    ]
    assert np.mean(right) >= 0.9


def test_clean_lists_are_hardly_held():
    found, _ = judged(LabelSets, table_of(*drawn(seed=1)), **ROLES)
    assert found["severity"].to_pylist().count("error") <= 2
    assert len(found) <= 10


def test_the_cut_into_shards_changes_nothing():
    table, _, _, (found, _) = dirty()
    assert judged(LabelSets, table, (0, 1, 700), **ROLES)[0].equals(found)


def test_the_order_of_merging_changes_nothing():
    table = dirty()[0].slice(0, 300)
    contract = contract_of(table, **ROLES)
    flat = table.select(flat_names(table.schema)).schema
    check = LabelSets(Context(contract, flat, len(table)))
    a, b, c = map(check.fit, shards_of(table, contract, (100, 50)))
    left = check.merge(check.merge(a, b), c)
    assert check.merge(c, check.merge(b, a)).equals(left)


def test_rows_without_a_list_are_not_judged_and_those_without_a_value_only_ranked():
    """A label may follow from the value that is missing."""
    values, has = drawn()
    lacks = np.random.default_rng(0).random(values.shape) < 0.02
    made, lost, gained = planted(has)
    table = table_of(np.where(lacks, np.nan, values), made)
    unlabelled = np.flatnonzero(lost)[:10]
    lists = table["labels"].to_pylist()
    for row in unlabelled:
        lists[row] = None
    table = table.set_column(table.num_columns - 1, "labels", pa.array(lists, LISTS))
    found, _ = judged(LabelSets, table, **ROLES)
    assert not set(unlabelled) & set(found["row"].to_pylist())
    held = [item["row"] for item in found.to_pylist() if item["severity"] == "error"]
    assert (lost | gained)[held].mean() >= 0.85
    assert not lacks.any(1)[held].any()
    assert lacks.any(1)[found["row"].to_pylist()].any()


def test_what_cannot_be_judged_is_told():
    values, has = drawn(60, 2)
    rare = has & (np.arange(60) < 15)[:, None]
    nothing = pa.table({"labels": pa.array([["a"], ["b"]] * 30, LISTS)})
    nulls = table_of(values, has).slice(0, 30).set_column(6, "labels", pa.nulls(30, LISTS))
    for table in (table_of(values, rare), nothing, nulls, table_of(values, has).slice(0, 0)):
        found, model = judged(LabelSets, table, **ROLES)
        assert not len(found)
        assert len(model.notes) == 1
        assert "not judged" in model.notes[0]


def test_only_the_most_frequent_labels_are_judged():
    counts = [*range(LEAST, LEAST + MOST_CLASSES + 3), LEAST - 1, 200 - LEAST + 1]
    lists = [
        [f"l{place}" for place, count in enumerate(counts) if row < count] for row in range(200)
    ]
    lists[0] *= 2  # an item that is repeated counts once
    classes, more = _classes(pa.array(lists, LISTS))
    assert set(classes) == {f"l{place}" for place in range(3, MOST_CLASSES + 3)}
    assert more == 3


def test_whole_numbers_and_embeddings_serve_too():
    values, has = drawn()
    made, lost, gained = planted(has)
    numbers = pa.array([list(np.flatnonzero(row)) for row in made], pa.list_(pa.int64()))
    vectors = pa.array(list(values), pa.list_(pa.float64()))
    table = pa.table({"e": vectors, "labels": numbers}).slice(0, 500)
    wrong = (lost | gained)[:500]
    found, _ = judged(LabelSets, table, e="embedding", **ROLES)
    rows = found["row"].to_pylist()
    assert wrong[rows].sum() >= 0.5 * wrong.sum()


def test_the_rows_of_a_group_do_not_judge_each_other():
    """Rows of a group are alike, and so are their errors: only other groups contradict them."""
    rng = np.random.default_rng(0)
    values, has = drawn(120, 2, seed=3)
    wrong = rng.random(120) < 0.08
    made = has ^ (wrong[:, None] & (np.arange(2) == 0))
    values = np.repeat(values, 8, 0) + rng.normal(0, 0.02, (960, 6))
    group = pa.array([f"g{number // 8}" for number in range(960)])
    table = table_of(values, np.repeat(made, 8, 0), group=group)
    wrong = np.repeat(wrong, 8)
    apart, _ = judged(LabelSets, table, group="group", **ROLES)
    together, _ = judged(LabelSets, table, group="ignore", **ROLES)
    found = [wrong[one["row"].to_pylist()].sum() for one in (apart, together)]
    assert found[0] > found[1]
