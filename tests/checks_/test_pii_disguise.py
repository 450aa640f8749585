"""Disguised personal data is found in every kind of disguise; what only looks so is not."""

import collections
import random

import disguises
import honest_codes
import pyarrow as pa
import pytest

from checks.pii import disguise, prefilters
from checks.pii.scan import scan
from checks.pii.settings import Settings


@pytest.fixture(scope="module")
def found():
    """Every disguised text with the entities found in it."""
    cases = disguises.cases()
    hits = scan(pa.array([case.text for case in cases]), "note", Settings())
    return [
        (case, {hit.entity for hit, _ in hits[at].hits} if at in hits else set())
        for at, case in enumerate(cases)
    ]


@pytest.mark.parametrize("kind", disguises.KINDS)
def test_every_kind_of_disguise_is_seen_through(found, kind):
    missed = [
        case.text for case, entities in found if case.kind == kind and case.entity not in entities
    ]
    assert not missed


def test_texts_that_only_look_disguised_raise_few_alarms():
    cases = honest_codes.cases(40, seed=2)
    found = scan(pa.array([text for _, text in cases]), "note", Settings())
    wrong = collections.Counter(cases[at][0] for at in found)
    assert sum(wrong.values()) < 0.01 * len(cases), wrong
    assert not any(hits.disguised for hits in found.values())


def test_runs_of_twelve_and_more_characters_pass_the_gate_wherever_they_change():
    rng = random.Random(4)
    for length in (12, 13, 15, 22, 40):
        for at in range(length - 1):
            run = [rng.choice("abcxyz") for _ in range(length)]
            run[at + 1] = rng.choice("ABC129+/")
            text = f"it is {''.join(run)} now"
            assert prefilters.matches(pa.array([text]), disguise.GATE)[0], text
    assert not prefilters.matches(pa.array(["internationalisation of Everything"]), disguise.GATE)[
        0
    ]
