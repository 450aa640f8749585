"""From true classes to given labels: errors beside honest overlap, where both are known."""

import numpy as np
import pytest

from checks.kit import noise_channel


def drawn(rate, rows=6_000, classes=3, seed=0, wrong=None):
    """Overlapping classes whose chances are known, and labels of which a share is wrong."""
    rng = np.random.default_rng(seed)
    at = rng.normal(size=(rows, classes)) * 3
    told = np.exp(at) / np.exp(at).sum(1, keepdims=True)
    true = (told.cumsum(1) > rng.random((rows, 1))).argmax(1)
    hit = rng.random(rows) < rate
    other = (true + rng.integers(1, classes, rows)) % classes if wrong is None else wrong[true]
    return told, np.where(hit, other, true), true


@pytest.mark.parametrize("rate", [0.02, 0.05, 0.1])
def test_the_rate_of_errors_is_told_from_overlap(rate):
    told, given, _ = drawn(rate)
    likely, least = noise_channel.fit(told, given)
    assert likely.rate == pytest.approx(rate, rel=0.3)
    assert 0 < least.rate < likely.rate


@pytest.mark.parametrize("seed", range(4))
def test_overlap_alone_accuses_nobody(seed):
    told, given, _ = drawn(0.0, seed=seed)
    likely, least = noise_channel.fit(told, given)
    assert least is None
    assert likely.rate < 0.02
    assert (likely.correct(told, given) < 0.5).mean() < 0.01


def test_the_chance_of_being_honest_is_what_it_says():
    told, given, true = drawn(0.08, rows=20_000)
    honest = noise_channel.fit(told, given)[0].correct(told, given)
    for low, high in ((0.0, 0.3), (0.3, 0.7), (0.7, 0.95)):
        within = (honest >= low) & (honest < high)
        assert (given == true)[within].mean() == pytest.approx(honest[within].mean(), abs=0.08)


def test_which_class_an_error_is_taken_for_is_learnt():
    told, given, true = drawn(0.1, classes=4, wrong=np.array([1, 2, 3, 0]))
    likely, _ = noise_channel.fit(told, given)
    assert (likely.wrong[np.arange(4), [1, 2, 3, 0]] > 0.8).all()
    wrong = given != true
    assert (likely.supported(told, given)[wrong] == true[wrong]).mean() > 0.9


def test_a_model_that_is_not_sure_enough_is_sharpened():
    told, given, true = drawn(0.05)
    dull = np.sqrt(told) / np.sqrt(told).sum(1, keepdims=True)
    honest = noise_channel.fit(dull, given)[0].correct(dull, given)
    accused = honest < 0.3
    assert accused.sum() > 50
    assert (given == true)[accused].mean() == pytest.approx(honest[accused].mean(), abs=0.08)


@pytest.mark.parametrize("classes", [2, 30])
def test_few_and_many_classes(classes):
    told, given, _ = drawn(0.05, classes=classes, rows=3_000)
    likely, _ = noise_channel.fit(told, given)
    score = likely.score(told, given)
    assert np.isfinite(score).all()
    assert ((score >= 0) & (score <= 1)).all()
    assert likely.rate < 0.2


def test_a_model_that_knows_nothing_of_the_labels_judges_none():
    told = np.zeros((200, 2))
    told[:, 0] = 1.0
    given = (np.arange(200) % 10 == 0).astype(np.int64)
    assert noise_channel.fit(told, given) == (None, None)


def test_chances_of_zero_and_one_stay_finite():
    told = np.eye(3)[np.arange(300) % 3]
    given = np.where(np.arange(300) % 30 == 0, 2, np.arange(300) % 3)
    likely, _ = noise_channel.fit(told, given)
    assert np.isfinite(likely.correct(told, given)).all()
    assert np.isfinite(likely.score(told, given)).all()
