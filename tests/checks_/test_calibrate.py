"""Calibration: budgets, tails, groups."""

import numpy as np
import pytest

from checks.kit import calibrate


def test_cut_spends_the_budget_and_no_more():
    honest = np.array([0.0, 0.05, 0.1, 0.9, 1.0])
    threshold, share = calibrate.cut(honest, 0.1)
    assert 0.1 < threshold < 0.9
    assert share == pytest.approx(0.05)
    assert calibrate.cut(np.array([0.5, 0.9]), 0.1) == (-1.0, 0.0)


def test_equal_values_stand_or_fall_together():
    honest = np.array([0.0, 0.2, 0.2, 0.2, 0.2])
    threshold, share = calibrate.cut(honest, 0.1)
    assert (threshold, share) == (pytest.approx(0.1), 0.0)


@pytest.mark.parametrize("draw", ["normal", "exponential", "laplace"])
def test_a_tail_expects_no_fewer_than_there_are(draw):
    values = getattr(np.random.default_rng(1), draw)(size=50_000)
    fitted = calibrate.tail(values)
    for share in (0.99, 0.999, 0.9999):
        at = np.quantile(values, share)
        assert fitted.beyond(np.array([at]))[0] > 0.8 * (1 - share)


def test_one_per_cent_of_outliers_hardly_moves_a_tail():
    rng = np.random.default_rng(2)
    clean = rng.normal(size=20_000)
    dirty = np.concatenate([clean, np.full(200, 40.0)])
    at = np.array([12.0])
    assert calibrate.tail(dirty).beyond(at)[0] < 3 * calibrate.tail(clean).beyond(at)[0]
    assert calibrate.tail(dirty).beyond(np.array([40.0]))[0] < 1e-5


def test_conformal_ranks_among_trusted_rows():
    trusted = np.arange(99.0)
    made = calibrate.conformal(np.array([-1.0, 49.0, 1000.0]), trusted)
    assert made == pytest.approx([1.0, 0.51, 0.01])


def test_uniform_chances_accuse_nobody_and_a_lone_extreme_stands():
    chances = np.random.default_rng(3).random((5_000, 4))
    limits = calibrate.alone(chances, alpha=0.1, rows=5_000)
    assert (chances < limits).sum() <= 1
    chances[7, 2] = 1e-9
    assert (chances < calibrate.alone(chances, alpha=0.1, rows=5_000))[7, 2]


def test_what_many_rows_share_is_structure():
    chances = np.random.default_rng(4).random((5_000, 2))
    chances[:2_500, 0] = 1e-9
    chances[7, 1] = 1e-9
    limits = calibrate.alone(chances, alpha=0.1, rows=5_000)
    assert limits[0] == 0
    assert (chances < limits).sum() == 1


def test_a_group_behind_a_gap_stands_and_a_smooth_tail_does_not():
    rng = np.random.default_rng(5)
    smooth = np.exp(-rng.exponential(size=(20_000, 1)))
    seen = np.where(smooth > 0.01, 1.0, smooth)
    assert calibrate.grouped(seen, None, alpha=0.1)[0] == 0
    dense = np.where((seen > 2e-5) & (seen < 1e-3), 1.0, seen)
    group = np.concatenate([dense, np.full((30, 1), 4e-4)])
    limit = calibrate.grouped(group, None, alpha=0.1)[0]
    assert (group < limit).sum() >= 30


def test_trusted_rows_clear_a_group_that_they_have_too():
    rng = np.random.default_rng(6)
    made = np.exp(-rng.exponential(size=(20_000, 1)))
    made = np.where(made > 0.01, 1.0, made)
    more = np.concatenate([made, rng.uniform(2e-3, 3e-3, (60, 1))])
    without = np.where(made < 4e-3, 1.0, made)
    assert (more < calibrate.grouped(more, without, alpha=0.1)).sum() >= 60
    assert (more < calibrate.grouped(more, more, alpha=0.1)).sum() == 0
