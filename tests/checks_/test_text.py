"""Folding text: what changes, what must not, and where every character came from."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.kit.text_folding import (
    NEEDS_FOLDING,
    aligned,
    folded,
    joined,
    normalise,
    plain,
    skeleton,
)


@pytest.mark.parametrize(
    ("raw", "flat"),
    [
        ("\uff34\uff45\uff58\uff54", "Text"),
        ("a\u200bb\ufeffc\u00add", "abcd"),
        ("\u0663\u0967\uff15", "315"),
        ("1\u20112\u20133\u22124", "1-2-3-4"),
        ("a\u00a0b\u2009c", "a b c"),
        ("p\u0430yp\u0430l", "paypal"),
        ("\U0001d400\U0001d7d9", "A1"),
        ("%41%2542", "AB"),
        ("&amp;amp;lt;&#x41;&#66;", "<AB"),
        ("a [at] b {dot} c", "a@b.c"),
        ("a at b dot org", "a@b.org"),
        ("look at the dot", "look at the dot"),
        ("100% of 20 %", "100% of 20 %"),
        ("AT&T; x &y", "AT&T; x &y"),
        ("plain, text.", "plain, text."),
        ("caf\u00e9 \u4e16\u754c", "caf\u00e9 \u4e16\u754c"),
    ],
)
def test_folding(raw, flat):
    assert normalise(raw) == flat


@pytest.mark.parametrize(
    ("raw", "closed"),
    [
        ("1 2 3 4 5 6 7 8 9 0", "1234567890"),
        ("1-2-3-4-5-6-7-8-9", "123456789"),
        ("1111.2222.3333.4444", "1111222233334444"),
        ("4lll llll llll llll", "4111 1111 1111 1111"),
        ("12O4 5678 9Ol2", "1204 5678 9012"),
        ("1 2 3", "1 2 3"),
        ("10 20 30 40 50 60", "10 20 30 40 50 60"),
        ("192.168.100.200", "192.168.100.200"),
        ("ill oil lol", "ill oil lol"),
        ("Illinois 60601", "Illinois 60601"),
    ],
)
def test_joining(raw, closed):
    assert joined(folded(raw)).text == closed


def test_spans_lead_back_to_the_raw_text():
    raw = "to j\u043ee%40ex\u200bample.com now"
    flat = folded(raw)
    at = flat.text.index("joe@example.com")
    start, end = flat.span(at, at + len("joe@example.com"))
    assert raw[start:end] == "j\u043ee%40ex\u200bample.com"


@given(st.text(max_size=40))
def test_alignment_is_whole(raw):
    for form in (aligned(raw), folded(raw), joined(folded(raw))):
        assert len(form.text) == len(form.starts) == len(form.ends)
        assert all(0 <= a < b <= len(raw) for a, b in zip(form.starts, form.ends, strict=True))


@given(st.text(alphabet=st.characters(max_codepoint=127), max_size=40))
def test_plain_ascii_that_needs_no_folding_is_not_changed(raw):
    if not pc.match_substring_regex(pa.array([raw]), NEEDS_FOLDING)[0].as_py():
        assert folded(raw).text == raw
        assert joined(aligned(raw)).text == raw


@pytest.mark.parametrize(
    "raw",
    [
        "caf\u00e9 \u00fcber",
        "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440",
        "\u4f60\u597d\uff0c\u4e16\u754c\u3002",
        "\U0001f600 \u2764\ufe0f",
        "\u201cquoted\u201d \u2026",
        "a \u2013 b",
    ],
)
def test_honest_text_of_other_scripts_is_not_folded(raw):
    assert not pc.match_substring_regex(pa.array([raw]), NEEDS_FOLDING)[0].as_py()


def test_skeletons_are_shared_by_what_looks_alike():
    assert len({skeleton(t) for t in ("Oslo", "OSLO ", "\u041eslo", "\uff2fslo", "o s lo")}) == 1
    assert skeleton("e\u0301") == skeleton("\u00e9") != skeleton("e")
    assert skeleton("\u0141\u00f3d\u017a") != skeleton("Lodz")
    assert plain("\u0430") == "a"
