"""What Assay computes itself instead of importing scipy.stats equals what scipy.stats computes."""

import numpy as np
import pytest
from scipy import special, stats

from checks.kit import ranks
from checks.leakage import gap
from pipelines import quick_imports


@pytest.fixture(params=range(40))
def rng(request):
    return np.random.default_rng(request.param)


def test_ranks_are_those_of_scipy(rng):
    values = rng.integers(0, 30, rng.integers(1, 200)).astype(float)
    assert (ranks.ranks(values) == stats.rankdata(values)).all()


def test_the_rank_correlation_is_that_of_scipy(rng):
    size = rng.integers(10, 300)
    left = rng.integers(0, 20, size) + rng.integers(0, 2) * rng.random(size)
    right = left * rng.choice([-1, 1]) + rng.choice([0, 1e-3, 1, 9]) * rng.random(size)
    expected = stats.spearmanr(left, right).statistic
    assert ranks.correlation(left, right) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("values", [[], [1.0], [2.0, 2.0, 2.0]])
def test_what_has_one_value_has_no_rank_correlation(values):
    assert np.isnan(ranks.correlation(np.array(values), np.arange(len(values))))


def test_the_geometric_mean_is_that_of_scipy(rng):
    shares = rng.dirichlet(np.ones(rng.integers(2, 30)), rng.integers(1, 50))
    assert (quick_imports._gmean(shares, axis=1) == stats.gmean(shares, axis=1)).all()


def test_the_distributions_are_those_of_scipy(rng):
    of, chance = int(rng.integers(1, 2_000)), rng.uniform(1e-4, 0.99)
    hits = int(rng.integers(1, of + 1))
    expected = stats.binom.sf(hits - 1, of, chance)
    assert special.betainc(hits, of - hits + 1, chance) == pytest.approx(expected, rel=1e-12)
    values, parts = rng.exponential(5, 100), int(rng.integers(1, 9))
    np.testing.assert_allclose(
        special.chdtrc(2 * parts, 2 * values), stats.chi2.sf(2 * values, 2 * parts), rtol=1e-12
    )


def test_the_chance_of_a_gap_is_that_of_scipys_normal_distribution(rng):
    low, apart = np.sort(rng.normal(size=30)), rng.uniform(0.5, 6)
    high = np.sort(rng.normal(size=20)) + low[-1] + 4
    spread = (float(low.std()) + float(high.std())) / 2
    between, norm, grid = float(high[0] - low[-1]) / spread, stats.norm, gap.GRID
    largest = np.exp(np.log(len(low)) + norm.logpdf(grid) + (len(low) - 1) * norm.logcdf(grid))
    beyond = np.exp(len(high) * norm.logsf(grid + between - apart))
    expected = float(np.trapezoid(largest * beyond, grid))
    assert gap._chance(low, high, apart) == pytest.approx(expected, rel=1e-12)
    limits = 2 * norm.ppf(gap.COPY), np.sqrt(2) * norm.ppf(gap.NEAR_AREA)
    assert gap._apart() == pytest.approx(limits, rel=1e-12)
