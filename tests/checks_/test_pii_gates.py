"""The gates let through whatever Presidio would find, and its results come back unchanged."""

import json
import random
from pathlib import Path

import presidio_plain
import pyarrow as pa
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st
from presidio_plain import DENIED, NAMES, ODD, SEEDS, mutated

from checks.pii import phone, prefilters, regex_to_re2
from checks.pii.hits import UnscannedError
from checks.pii.recognizers import Analyzer, analyzer
from checks.pii.scan import raw_hits
from checks.pii.settings import ENTITIES, Settings

LARGE = Path(__file__).parents[2].parent / "shared" / "data" / "pii" / "generated_large.json"
PLAIN = Settings(secrets=False)


@pytest.fixture(scope="module")
def plain():
    """Presidio's own engine, on the same tokenizer, with no gate."""
    with presidio_plain.plain() as analyze:
        yield analyze


def gated(texts, options=PLAIN):
    found = raw_hits(pa.array(texts, pa.string()), "text", options)
    return [found.get(at, []) for at in range(len(texts))]


def test_the_stored_gates_are_those_of_the_installed_presidio():
    stored = {entity: prefilters.PATTERNS[entity] for entity in prefilters.PATTERNS}
    derived = prefilters.derive(analyzer(tuple(stored), 0.4, 0))
    assert json.loads(prefilters.text_of(prefilters.DIGITS, derived)) == json.loads(
        prefilters.PATH.read_text()
    )


def test_every_entity_searched_by_default_has_stored_gates():
    for entity in ENTITIES:
        assert all(gate for gate, *_ in prefilters.PATTERNS[entity][0]), entity


def test_digits_are_all_that_the_regex_module_knows():
    every = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    known = [char for char in every if regex.fullmatch(r"\d", char)]
    assert prefilters.matches(pa.array(known), r"[\d]").all()
    assert not prefilters.matches(pa.array(["a", "\u00b2", "\u2460", " "]), r"[\d]").any()


@pytest.mark.parametrize("letter", "aiskIKSz09")
def test_letters_are_widened_to_all_that_match_when_case_is_ignored(letter):
    gate = regex_to_re2.relax(f"x[{letter}]y")
    for code in (*range(0x250), 0x212A, 0x1E9E):
        text = f"x{chr(code)}y"
        if regex.search(f"x[{letter}]y", text, regex.I):
            assert prefilters.matches(pa.array([text]), gate)[0], hex(code)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"(?<!a)b+(?!c)", "b"),
        (r"\b(\w)\1\b", "xx"),
        (r"[^\W\d]{2}", "\u00e9\u00e9"),
        (r"(?:ab?){2,3}c?", "aba"),
        (r"a{50,60}", "a" * 50),
        (r"(a|b(c|d)?)e$", "be"),
        (r"[^a]\s\S", "b\u2003c"),
        (r"a?b*", ""),
    ],
)
def test_relaxed_patterns_match_what_the_pattern_matches(pattern, text):
    assert regex.search(pattern, text)
    gate = regex_to_re2.relax(pattern)
    assert gate == "" or prefilters.matches(pa.array([text]), gate)[0]


def test_a_pattern_that_is_not_understood_lets_every_text_pass():
    assert regex_to_re2.relax(r"(?V1)[a--b]|\p{Lu}(?|x|y)") == ""
    assert regex_to_re2.relax(r"(a)?(?(1)b|c)") == ""


def test_results_equal_presidio_on_mutated_matches(plain):
    rng = random.Random(7)
    texts = [mutated(rng, rng.choice(SEEDS)) for _ in range(4_000)]
    found = gated(texts)
    for text, hits in zip(texts, found, strict=True):
        assert hits == plain(text), ascii(text)
    assert sum(bool(hits) for hits in found) > 1_000


def test_results_equal_presidio_on_a_deny_list_without_digits(plain):
    rng = random.Random(3)
    entities = (*ENTITIES, DENIED)
    texts = [mutated(rng, rng.choice(NAMES)) for _ in range(1_000)]
    texts += ["\u017ei\u017dkov", "iLICA", "\u0130lica", "stra\u00dfe", "STRASSE", "bluebirds"]
    found = gated(texts, Settings(entities=entities, secrets=False))
    for text, hits in zip(texts, found, strict=True):
        assert hits == plain(text, entities), ascii(text)
    assert sum(bool(hits) for hits in found) > 400


@pytest.mark.parametrize("word", ["ssn", "phone", "passport"])
def test_results_equal_presidio_with_the_name_of_the_column_as_context(plain, word):
    rng = random.Random(5)
    texts = [mutated(rng, rng.choice(SEEDS)) for _ in range(300)]
    found = raw_hits(pa.array(texts), word, PLAIN)
    for at, text in enumerate(texts):
        assert found.get(at, []) == plain(text, context=[word]), ascii(text)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="0123456789 -./()+x" + ODD, max_size=25))
def test_results_equal_presidio_on_numbers(plain, text):
    assert gated([text])[0] == plain(text)


def test_results_equal_presidio_on_real_texts(plain):
    if not LARGE.exists():
        pytest.skip(f"{LARGE.name} is not here")
    texts = [entry["full_text"] for entry in json.loads(LARGE.read_text())]
    found = gated(texts)
    unequal = [at for at, text in enumerate(texts) if found[at] != plain(text)]
    assert len(texts) == 2_109
    assert not unequal
    assert sum(map(len, found)) > 400


def test_entities_without_stored_gates_are_derived_and_found(plain):
    entities = ("DATE_TIME", "URL", "UUID", "US_DRIVER_LICENSE")
    options = Settings(entities=entities, secrets=False)
    texts = [
        "born on 2024-05-06",
        "see https://example.com/x",
        "123e4567-e89b-12d3-a456-426614174000",
        "driver license A1234567",
        "nothing here",
    ]
    found = gated(texts, options)
    assert found == [plain(text, entities) for text in texts]
    assert [bool(hits) for hits in found] == [True, True, True, True, False]


def test_telephone_filter_rejects_no_number(plain):
    rng = random.Random(11)
    run = Analyzer(("PHONE_NUMBER",), 0.4, 500_000)
    hits = 0
    for _ in range(1_500):
        length = rng.choice([4, 5, 6, 7, 8, 9, 10, 10, 11, 12, 13])
        lead = rng.choice(["", "", "", "0", "00", "+", "16", "011"])
        number = lead + "".join(rng.choice("0123456789") for _ in range(length))
        text = rng.choice([number, f"{number[:3]} {number[3:]}", f"{number[:4]}-{number[4:]}"])
        expected = plain(text, ("PHONE_NUMBER",))
        assert run.hits(text, ["PHONE_NUMBER"]) == expected, text
        assert prefilters.matches(pa.array([text]), phone.GATE)[0] or not expected
        hits += bool(expected)
    assert hits > 200


def test_running_out_of_steps_raises():
    run = Analyzer(("PHONE_NUMBER", "URL"), 0.4, 1_000)
    for entity in ("PHONE_NUMBER", "URL"):
        assert run.hits("call 030 123456 or www.example.com", [entity])
        with pytest.raises(UnscannedError):
            run.hits("call 030 123456 or www.example.com " * 200, [entity])
