"""Limits are counted: the same rows on every machine, long texts whole, hostile ones cheap."""

import ast
import itertools
import json
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import presidio_plain
import pyarrow as pa
import pytest
import regex

import checks.pii
from checks.kit import text_folding as folding
from checks.pii import deny_list, patterns, phone
from checks.pii.context import nlp_engine
from checks.pii.hits import SpanSet
from checks.pii.recognizers import CLASSES, Analyzer, analyzer
from checks.pii.scan import scan
from checks.pii.settings import Settings

LONG = 99_000
WORDS = ["the", "loan", "of", "a", "customer", "was", "late", "account", "while", "we", "waited"]
# one of each kind that a gate lets through, so that every recognizer reads the text
KEYS = (
    "joe@example.com ssn 219-09-9999 account 4111 1111 1111 1111 call 212-555-0187 8.8.8.8 "
    "GB82 WEST 1234 5698 7654 32 ann at example dot com 4lll llll llll llll %41 AB1234563 "
    "00:1A:2B:3C:4D:5E 1BoatSLRHtKNngkdXEeobR76b53LETtpyT "
)


def filled(piece, rng, length=LONG):
    parts, count = [], 0
    while count < length:
        parts.append(piece(rng) if callable(piece) else piece)
        count += len(parts[-1])
    return "".join(parts)[:length]


def prose(rng):
    told = " ".join(rng.choices(WORDS, k=12))
    return rng.choice(
        [f"{told}. ", f"{told}. ", f"{told}, {rng.randint(1, 99)} of {rng.randint(1, 9999)}.50. "]
    )


def log(rng):
    return (
        f"2024-03-{rng.randint(1, 28):02d} 10:{rng.randint(0, 59):02d}:07.{rng.randint(0, 999)} "
        f"INFO [req-{rng.getrandbits(32):08x}] user={rng.randint(1, 10**6)} took "
        f"{rng.randint(1, 999)} ms id={rng.randint(10**9, 10**12)}\n"
    )


def number(rng):
    return str(rng.randint(1, 9_999))


HOSTILE = {
    "spaced digits": lambda rng: f"{rng.randint(0, 9)} ",
    "spaced numbers": lambda rng: f"{number(rng)} ",
    "dotted": lambda rng: f"{number(rng)}.",
    "dashed": lambda rng: f"{number(rng)}-",
    "slashed": lambda rng: f"{number(rng)}/",
    "brackets": lambda rng: f"({number(rng)}) ",
    "plus": lambda rng: f"+{number(rng)}",
    "country": "+49 ",
    "extensions": lambda rng: f"{number(rng)} x{number(rng)} ",
    "wide digits": "\uff11 ",
    "digits": lambda rng: str(rng.randint(0, 9)),
    "swapped letters": "1" * LONG,
    "at signs": "@",
    "addresses": "a@a.",
    "dots": "a.",
    "hex": lambda rng: f"{rng.randint(0, 15):x}",
    "base64": lambda rng: rng.choice("ABCDEFGHabcdefgh0123+/"),
    "urls": "http://a.com/?u=",
    "passwords": "http://a:b",
    "ipv6": "1:2:3:",
    "ibans": "DE89 3704 0044 0532 0130 01 ",
    "addresses of machines": lambda rng: f"{rng.randint(0, 255)}." * 3 + "7 ",
    "context": lambda rng: f"ssn {rng.randint(10**8, 10**9 - 1)} ",
    "signs": "(",
}


def hostile(kind):
    return KEYS + filled(HOSTILE[kind], random.Random(kind), LONG - len(KEYS) - 1) + "a"


def test_no_part_of_the_search_has_a_clock():
    for path in Path(checks.pii.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert not {"time", "datetime", "signal", "threading"} & set(names), path.name
            given = [k.arg for k in node.keywords] if isinstance(node, ast.Call) else []
            assert "timeout" not in given, path.name


def cost(text):
    search = phone.Search(text, 10**9)
    for region in search.regions():
        list(search.matches(region, leniency=1))
    return 10**9 - search.left


def test_the_limit_is_exact_and_the_same_for_any_cut():
    texts = [f"call {'212-555-0187, ' * n}and {'1 2 3 4 5 6 / ' * 40}" for n in range(30, 60)]
    limit = cost(texts[15])
    settings = Settings(steps=limit, disguised=False)
    whole = scan(pa.array(texts), "note", settings)
    assert [at for at, found in whole.items() if found.unscanned] == list(range(16, 30))
    assert len(whole[15].hits) == 45
    for size in (1, 7):
        for start in range(0, 30, size):
            part = scan(pa.array(texts[start : start + size]), "note", settings)
            assert part == {at - start: whole[at] for at in range(start, min(start + size, 30))}


@pytest.mark.parametrize("piece", [prose, log])
def test_long_ordinary_texts_are_searched_whole(piece):
    rng = random.Random(3)
    planted = [
        ("joe@example.com", "EMAIL_ADDRESS"),
        ("call 212-555-0187", "PHONE_NUMBER"),
        ("+44 20 7946 0958", "PHONE_NUMBER"),
        ("card 4111 1111 1111 1111", "CREDIT_CARD"),
        ("GB82 WEST 1234 5698 7654 32", "IBAN_CODE"),
        ("SSN 219-09-9999", "US_SSN"),
    ]
    parts, told = [], []
    for what, entity in planted * 3:
        parts += [filled(piece, rng, 5_400), " ; ", what, " ; "]
        told.append((sum(map(len, parts)) - 3, entity))
    text = "".join(parts)
    assert 97_000 < len(text) < 100_000
    (found,) = scan(pa.array([text]), "note", Settings()).values()
    assert not found.unscanned
    assert [(hit.end, hit.entity) for hit, verdict in found.hits if verdict == "error"] == told


def test_a_long_list_of_numbers_is_searched_whole():
    rng = random.Random(4)
    for form in ("+49 30 {:08d}\n", "{:03d}-555-{:04d} ext 12\n", "0{:03d}/{:07d}, "):
        text = filled(lambda rng, form=form: form.format(rng.randint(201, 989), 1234567), rng)
        assert cost(text[:LONG]) < Settings().steps


def test_endless_numbers_are_unscanned_and_not_passed():
    (found,) = scan(pa.array([hostile("plus")]), "note", Settings()).values()
    assert found.unscanned


def test_spaced_digits_take_few_steps_for_their_length():
    for kind in ("spaced digits", "spaced numbers", "dotted", "dashed", "slashed", "brackets"):
        half, whole = (hostile(kind)[:length] for length in (LONG // 2, LONG))
        assert cost(whole) < 3 * LONG
        assert cost(whole) < 2.5 * cost(half)


@pytest.mark.long
def test_hostile_texts_cost_a_small_multiple_of_prose():
    rng = random.Random(5)
    scan(pa.array([KEYS]), "note", Settings())
    texts = pa.array([KEYS + filled(prose, rng) for _ in HOSTILE])
    start = time.process_time()
    scan(texts, "note", Settings(max_chars=200_000))
    ordinary = time.process_time() - start
    scan(pa.array([hostile(kind) for kind in HOSTILE]), "note", Settings())
    assert time.process_time() - start < 51 * ordinary


def test_what_took_for_ever_ends():
    # in a process of its own: nothing stops a pattern that does not end
    kinds = ("swapped letters", "dots", "passwords", "signs")
    code = (
        "import json, sys, pyarrow as pa\nfrom checks.pii.scan import scan\n"
        "from checks.pii.settings import Settings\n"
        "for text in json.load(sys.stdin):\n"
        "    print(len(scan(pa.array([text]), 'note', Settings())[0].hits), flush=True)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        input=json.dumps([hostile(kind) for kind in kinds]),
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    found = dict(zip(kinds, map(int, done.stdout.split()), strict=True))
    assert min(found.values()) >= 10, found


def test_urls_beyond_the_steps_are_unscanned():
    settings = Settings(entities=("URL",), secrets=False)
    texts = ["see www.example.com/a or b.org " * 1_000, "a." * 10_000 + " www.example.com"]
    found = scan(pa.array(texts), "note", settings)
    assert len(found[0].hits) == 2_000
    assert found[1].unscanned


def test_addresses_are_those_of_presidios_pattern():
    (recognizer,) = Analyzer(("EMAIL_ADDRESS",), 0.4, 0).recognizers.values()
    assert [p.regex for p in recognizer.patterns] == [patterns.EMAIL]
    plain, ours = regex.compile(patterns.EMAIL, patterns.FLAGS), patterns.Emails()
    rng, count = random.Random(6), 0
    bits = ["a", "b.c", "@", ".", "-", "--", "+", "_", " ", ",", "\u00e9", "\u0301", "com", "a@b.c"]
    for _ in range(20_000):
        text = "".join(rng.choices(bits, k=rng.randint(2, 16)))
        spans = [match.span() for match in plain.finditer(text)]
        count += len(spans)
        assert [match.span() for match in ours.finditer(text)] == spans, text
    assert count > 5_000


def numbers(rng):
    """Make a text of numbers and marks on which every region, mark and extension is tried."""
    known = [
        "212-555-0187", "+44 20 7946 0958", "+33123456789", "030/123456", "(0)30 1234567",
        "+972 3-123-4567", "0161 496 0000", "+1 650 253 0000", "011 44 20 7946 0958",
        "650 253 0000", "+99912345678", "0091 98765 43210", "1640", "01691", "11 2345-6789",
    ]  # fmt: skip
    bits = [
        " ", " ", "-", ".", "/", " - ", "(", ")", "+", "x", "X12", " ext 3", "~", "\uff11\uff12",
        "\u2010", "\u0661", "#", "int 4", "; ", "\n", "a", "[", "]", "xx", "/ x",
    ]  # fmt: skip
    return "".join(
        rng.choice(
            [rng.choice(known), rng.choice(bits), str(rng.randint(0, 10 ** rng.randint(1, 9)))]
        )
        for _ in range(rng.randint(4, 30))
    )


def test_telephone_numbers_are_those_of_presidio():
    from presidio_analyzer.predefined_recognizers import PhoneRecognizer

    plain, ours = PhoneRecognizer(), phone.recognizer(10**9, ValueError())
    rng, count = random.Random(7), 0
    for _ in range(500):
        text = numbers(rng)
        spans = sorted((r.start, r.end) for r in plain.analyze(text, ["PHONE_NUMBER"]))
        count += len(spans)
        assert sorted((r.start, r.end) for r in ours.analyze(text)) == spans, text
    assert count > 300


def test_scores_by_context_are_those_of_presidio():
    rng = random.Random(8)
    bits = ["ssn", "account", "the", "of", "and", "joe@example.com", "219-09-9999", "912701234"]
    bits += ["passport", "12345678", "A12345678", "call", "212-555-0187", "creditcard=", ", ", "("]
    every = tuple(CLASSES)
    run = analyzer(every, 0.4, 10**6)
    with presidio_plain.plain() as analyze:
        for _ in range(60):
            text = " ".join(rng.choices(bits, k=60))
            assert run.hits(text, every) == analyze(text, every), text


def test_tokens_of_texts_without_long_runs_are_spacys_and_those_of_others_align():
    import spacy

    nlp = nlp_engine().nlp["en"]
    for text in (KEYS, "a (b) c... http://x.y/z?q=1 don't", "", "  "):
        assert [t.text for t in nlp(text)] == [t.text for t in spacy.blank("en")(text)]
    for text in ("(" * 100 + "ssn 12", "x" * 2_500 + " ssn", " a  " + "." * 64):
        made = nlp(text)
        assert made.text == text
        assert all(text[t.idx : t.idx + len(t)] == t.text for t in made)


def test_swapped_letters_are_found_as_with_every_separator_optional():
    slow = re.compile(r"(?<!\w)[0-9OoIl|]{3,}(?:[ -]?[0-9OoIl|]{2,}){1,6}(?!\w)")
    rng = random.Random(9)
    every = map("".join, itertools.product("1| a", repeat=8))
    pieces = ["1", "11", "11 11 11", "l", "|", " ", "-", "  ", "a"]
    made = ("".join(rng.choices(pieces, k=rng.randint(3, 12)))[:28] for _ in range(30_000))
    for text in itertools.chain(every, made):
        spans = [match.span() for match in folding._SWAPPED.finditer(text)]
        assert spans == [match.span() for match in slow.finditer(text)], text


def test_taken_spans_overlap_as_each_of_them_does():
    rng = random.Random(10)
    for _ in range(500):
        spans = [(at, at + rng.randint(1, 6)) for at in rng.choices(range(40), k=rng.randint(0, 8))]
        taken = SpanSet(spans)
        for _ in range(20):
            start = rng.randint(0, 45)
            end = start + rng.randint(1, 8)
            overlaps = any(low < end and start < high for low, high in spans)
            assert taken.overlaps(start, end) == overlaps
            if not overlaps:
                taken.add(start, end)
                spans.append((start, end))


def test_many_names_of_one_first_word_are_looked_up_by_length():
    names = deny_list.names_of([f"john w{n} x" for n in range(3_000)] + ["john", "john w7"], "")
    assert names.lengths == {"john": (1, 2, 3)}
    (found,) = deny_list.hits(pa.array(["john john w7 x, john w7 y"]), names).values()
    assert [(hit.start, hit.end) for hit in found] == [(0, 4), (5, 14), (16, 23)]
