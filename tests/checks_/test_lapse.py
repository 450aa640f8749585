"""Floors of errors beside the overlap of classes."""

import numpy as np
import pytest

from checks.kit import calibrate
from checks.labels import error_floor


def drawn(floor: float, rows: int = 20_000, seed: int = 0):
    rng = np.random.default_rng(seed)
    where = rng.uniform(-9, 0, rows)
    rate = floor + (1 - 2 * floor) * error_floor.sigmoid(1.2 * where)
    return where, rng.random(rows) < rate


@pytest.mark.parametrize("floor", [0.003, 0.02, 0.1])
def test_a_planted_floor_is_found(floor):
    fitted = error_floor.lapse(*drawn(floor))
    assert fitted.best[0] == pytest.approx(floor, rel=0.4)
    assert 0 < fitted.low[0] <= 1.2 * floor


@pytest.mark.parametrize("seed", range(5))
def test_overlap_alone_has_no_floor_to_accuse_by(seed):
    fitted = error_floor.lapse(*drawn(0.0, seed=seed))
    assert calibrate.cut(fitted.correct(np.linspace(-9, 0, 100)), 0.1)[0] == -1.0


def test_surer_contrary_labels_are_less_honest():
    honest = error_floor.lapse(*drawn(0.02)).correct(np.linspace(-9, 2, 50))
    assert (np.diff(honest) >= 0).all()
    assert honest[0] < 0.05
    assert honest[-1] > 0.9


def test_no_contrary_label_means_no_errors():
    where = np.linspace(-5, 0, 30)
    assert error_floor.lapse(where, np.zeros(30, bool)) == error_floor.NO_ERRORS


def test_pairs_err_on_their_own_and_a_label_that_agrees_is_honest():
    rng = np.random.default_rng(0)
    own = rng.beta(0.4, 0.4, 20_000)
    chances = np.column_stack([own, 1 - own])
    given = (rng.random(len(own)) > own).astype(int)
    flipped = (rng.random(len(own)) < 0.03) & (given == 0)
    given[flipped] = 1
    honest = error_floor.floors(chances, given).correct(chances, given)
    assert (honest[chances.argmax(1) == given] == 1).all()
    accused = honest < calibrate.cut(honest, 0.1)[0]
    assert accused.sum() > 50
    assert flipped[accused].mean() > 0.8
    assert (given[accused] == 1).all()  # nobody was relabelled to the other class
