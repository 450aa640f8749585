"""Every rule that a finding can carry is explained, and its id is never renamed or reused."""

import re
from pathlib import Path

import pytest

from checks.contract import expectation_gallery, quality_rules
from checks.kit import registry
from checks.rules import explanations, suite
from pipelines.commands import explain
from provenance.base.codes import CODES
from provenance.base.errors import AssayError

ROOT = Path(__file__).parents[2]
PII = (
    "ADDRESS", "CREDIT_CARD", "CRYPTO", "DATE_TIME", "DENIED", "EMAIL_ADDRESS", "IBAN_CODE",
    "IP_ADDRESS", "LOCATION", "MAC_ADDRESS", "MEDICAL_LICENSE", "PERSON", "PHONE_NUMBER", "SECRET",
    "UK_NHS", "URL", "US_BANK_NUMBER", "US_DRIVER_LICENSE", "US_ITIN", "US_PASSPORT", "US_SSN",
    "UUID", "column", "unscanned",
)  # fmt: skip
# storage keys: add to this list, never change or remove an entry
STORED = {
    "answers.truncated",
    "certificate.votes",
    "chat_copies.near",
    "contamination.shared",
    "disclosure.k_anonymity", "disclosure.l_diversity", "disclosure.small_class",
    "drift.recent",
    "duplicates.conflict", "duplicates.exact", "duplicates.source",
    "embeddings.gap", "embeddings.length", "embeddings.norm", "embeddings.zero",
    *(f"files.{name}" for name in (
        "conflict", "copy", "cut", "empty", "irregular", "missing", "outside", "size", "type",
        "unreadable", "url",
    )),
    "groups.test",
    "label_lists.repeated",
    "label_sets.contradicted", "label_sets.missing",
    "labels.contradicted",
    "messages.empty", "messages.length", "messages.order", "messages.role", "messages.system",
    "messages.unanswered",
    "neighbours.copy", "neighbours.outlier",
    "outliers.column", "outliers.joint", "outliers.rare",
    *(f"pii.{name}" for name in PII),
    "poison.trigger",
    "probabilities.length", "probabilities.sum", "probabilities.value",
    "spans.outside",
    "sources.findings_rate", "sources.influence", "sources.label_change", "sources.label_mix",
    "sources.share",
    "tags.begin", "tags.gap", "tags.length",
    "texts.broken", "texts.instruction", "texts.language", "texts.mixed", "texts.mojibake",
}  # fmt: skip
EXPLAINED = {
    rule: item for check in registry.load().values() for rule, item in check.explains.items()
}


def test_the_explained_rules_are_the_stored_ones():
    assert EXPLAINED.keys() == STORED


def test_every_rule_that_the_source_names_is_explained():
    names = "|".join(registry.load())
    quoted = re.compile(
        rf"""rule=f?["']((?:{names})\.\w+)["']|^\w+.*= "((?:{names})\.\w+)"$""", re.MULTILINE
    )
    named = {
        found[1] or found[2]
        for folder in ("checks", "pipelines")
        for path in (ROOT / folder).rglob("*.py")
        for found in quoted.finditer(path.read_text())
    }
    assert len(named) >= 6
    assert named <= STORED


@pytest.mark.parametrize("name", sorted(registry.load()))
def test_every_check_says_what_gets_past_it(name):
    check = registry.load()[name]
    assert explain.blind_to(check.__module__)
    assert all(rule.startswith(f"{name}.") for rule in check.explains)


@pytest.mark.parametrize("rule", sorted(STORED))
def test_a_rule_is_explained_in_whole_sentences(rule):
    facts = explain.rule_facts(rule)
    assert facts["rule"] == rule
    assert set(facts["severity"]) <= {"error", "warning", "info"}
    for field in ("means", "fires", "misses", "fix"):
        assert facts[field].endswith("."), field
        assert not set("|\n") & set(facts[field]), field


KINDS = {
    *suite._BY_KIND,
    *suite._NULLS,
    *suite._LISTS,
    *quality_rules.ARGUMENTS,
    "unique",
    "sql",
} - {
    "invalidValues"  # its rules are `validValues` and `pattern`
}


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("subject", ["{}", "age.{}", "loan.age.{}.2"])
def test_every_kind_of_contract_rule_is_explained(kind, subject):
    facts = explain.rule_facts(subject.format(kind))
    assert facts["means"]
    assert facts["fix"]


@pytest.mark.parametrize("kind", sorted(expectation_gallery.EXPECTATIONS))
def test_every_expectation_is_explained(kind):
    assert explain.rule_facts(f"age.{kind}")["check"] == "contract"


@pytest.mark.parametrize(
    ("subject", "rule"),
    [("joint", "outliers.joint"), ("TRIGGER", "poison.trigger"), ("pii.person", "pii.PERSON")],
)
def test_a_rule_is_found_by_its_bare_name_in_any_case(subject, rule):
    assert explain.rule_facts(subject)["rule"] == rule


@pytest.mark.parametrize("subject", ["column", "outliers.joynt", "nonsense", "age.nonsense", ""])
def test_an_unknown_or_ambiguous_rule_is_c013(subject):
    with pytest.raises(AssayError, match="C013"):
        explain.rule_facts(subject)


def test_kinds_with_a_code_have_that_code():
    assert set(explanations.CODED.values()) <= set(CODES)
