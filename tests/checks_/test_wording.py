"""Figures in sentences."""

import math

import pytest

from checks.kit import wording


@pytest.mark.parametrize(
    ("p", "said"),
    [
        (0.0, "p < 0.001"),
        (1e-300, "p < 0.001"),
        (0.000999, "p < 0.001"),
        (0.001, "p = 0.001"),
        (0.0124, "p = 0.012"),
        (0.5, "p = 0.500"),
        (1.0, "p = 1.000"),
    ],
)
def test_small_p_values_are_only_bounded(p, said):
    assert wording.p_value(p) == said


@pytest.mark.parametrize(
    ("share", "decimals", "said"),
    [
        (0.0, 1, "0.0%"),
        (0.0004, 1, "under 0.1%"),
        (0.001, 1, "0.1%"),
        (0.1234, 1, "12.3%"),
        (0.1234, 0, "12%"),
        (0.004, 0, "under 1%"),
        (0.9994, 1, "over 99.9%"),
        (1.0, 1, "100.0%"),
        (0.00004, 2, "under 0.01%"),
        (0.99996, 2, "over 99.99%"),
    ],
)
def test_a_share_is_never_rounded_to_none_or_to_all(share, decimals, said):
    assert wording.percent(share, decimals) == said


@pytest.mark.parametrize(
    ("number", "noun", "said"),
    [
        (0, "row", "0 rows"),
        (1, "row", "1 row"),
        (2500, "row", "2,500 rows"),
        (2, "entry", "2 entries"),
        (2, "day", "2 days"),
        (2, "class", "2 classes"),
        (2, "sampled row", "2 sampled rows"),
        (3, "match", "3 matches"),
    ],
)
def test_a_count_agrees_with_its_noun(number, noun, said):
    assert wording.count(number, noun) == said


@pytest.mark.parametrize(
    ("share", "said"), [(0.199, "about 19.9%"), (1e-5, "under 0.1%"), (1 - 1e-5, "over 99.9%")]
)
def test_an_estimate_is_bounded_or_about_a_number(share, said):
    assert wording.about(share) == said


def test_names_are_listed_as_in_a_sentence():
    assert [wording.listed(list(names)) for names in ("a", "ab", "abc")] == [
        "a",
        "a and b",
        "a, b and c",
    ]


def test_what_was_not_measured_is_never_written_as_nan():
    texts = [wording.percent(math.nan), wording.about(math.nan), wording.p_value(math.nan)]
    assert not any("nan" in text for text in texts)
