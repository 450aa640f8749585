"""Wide tables: each fold learns from the columns that tell most, chosen by its own rows."""

import numpy as np
import pyarrow as pa
import pytest

from checks.kit import cross_fit, encode, screening

ROWS, COLUMNS = 400, screening.MOST + 60
TELLING = (7, 100, 219)


def wide(seed=0):
    """Return a table of noise in which three columns tell of a class, and the classes."""
    rng = np.random.default_rng(seed)
    given = rng.integers(0, 2, ROWS)
    made = {f"c{n}": rng.normal(size=ROWS) for n in range(COLUMNS)}
    made["c7"] = made["c7"] + 1.5 * given
    made["c100"] = np.where(given == 1, 1.0, 2.0) * made["c100"]  # a wider spread, the same mean
    made["c219"] = np.where(rng.random(ROWS) < 0.8, given, 1 - given).astype(str)
    how = {n: "category" if n == "c219" else "number" for n in made}
    return pa.table(made), how, given


def screen_of(table, how):
    encoder = encode.fit(table, how)
    return encoder, screening.fit(encoder, encoder.trees(table))


@pytest.mark.parametrize("numeric", [False, True])
def test_telling_columns_are_kept_whatever_they_tell_by(numeric):
    table, how, given = wide()
    _, screen = screen_of(table, how)
    learn = np.arange(300)
    target = given + np.random.default_rng(1).normal(0, 0.1, ROWS) if numeric else given
    narrow, (linear, deep) = screen.narrowed(learn, target[learn])
    assert len(deep) == len(narrow.parts) == screening.MOST
    assert set(TELLING) <= set(deep.tolist())
    assert [part.name for part in narrow.parts] == [f"c{n}" for n in deep]
    assert len(linear) == sum(part.width for part in narrow.parts)


def test_rows_that_are_not_learnt_from_have_no_say():
    table, how, given = wide()
    _, screen = screen_of(table, how)
    learn = np.arange(0, ROWS, 2)
    other = given.copy()
    other[1::2] = 1 - other[1::2]
    before, after = (screen.narrowed(learn, one[learn])[1][1] for one in (given, other))
    assert before.tolist() == after.tolist()


def test_few_columns_are_not_screened():
    table, how, given = wide()
    names = list(how)[: screening.MOST]
    encoder, screen = screen_of(table.select(names), {n: how[n] for n in names})
    assert screen.narrowed(np.arange(ROWS), given) == (encoder, None)


def test_texts_are_kept_and_a_missing_value_is_a_group():
    table, how, given = wide()
    gaps = pa.array(np.where(given == 1, np.nan, 0.0), from_pandas=True)
    table = table.set_column(3, "c3", gaps).set_column(5, "c5", pa.array(["a b c d"] * ROWS))
    _, screen = screen_of(table, {**how, "c5": "text"})
    kept = screen.narrowed(np.arange(ROWS), given)[1][1]
    assert {3, 5} <= set(kept.tolist())


def test_models_of_a_wide_table_predict_alike_for_every_division_of_rows():
    table, how, given = wide()
    folds = np.random.default_rng(2).integers(0, 2**32, ROWS, dtype=np.uint32)
    fitted, chances = cross_fit.fit(table, how, given, folds, classes=2)
    assert (chances.argmax(1) == given).mean() > 0.75
    whole = fitted.predict(table, folds)
    parts = [fitted.predict(table.slice(at, 150), folds[at : at + 150]) for at in (0, 150, 300)]
    # the kernel's matrix product rounds by its shape
    assert np.abs(whole - np.concatenate(parts)).max() < 1e-12
