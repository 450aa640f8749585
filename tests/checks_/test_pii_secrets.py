"""Secrets: what is one, beside what nearly is; every token is put together here, none is real."""

import random
import string

import pyarrow as pa
import pytest

from checks.pii import secrets
from checks.pii.prefilters import matches, python
from checks.pii.scan import scan
from checks.pii.settings import Settings

ALNUM = string.ascii_letters + string.digits
UPPER, HEX = string.ascii_uppercase + "234567", "0123456789abcdef"


def made(length, of=ALNUM, seed=1):
    """Return a made-up run of characters."""
    rng = random.Random(seed)
    return "".join(rng.choice(of) for _ in range(length))


def jwt(head="eyJ"):
    return f"{head}{made(20)}.eyJ{made(40)}.{made(43)}"


# kind: (a secret, what nearly is one)
TABLE = {
    "private key": (
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        "-----BEGIN PUBLIC KEY-----",
    ),
    "age key": ("AGE-SECRET-KEY-1" + "Q" * 58, "AGE-SECRET-KEY-1" + "Q" * 20),
    "AWS access key": ("AK" + "IA" + made(16, UPPER), "AK" + "IA" + made(15, UPPER)),
    "AWS secret key": (
        "aws_secret_" + f'access_key = "{made(40)}"',
        "aws_secret_" + f"access_key = {made(64)}",
    ),
    "Azure storage key": (
        "Account" + f"Key={made(86)}==",
        "Account" + f"Key={made(30)}==",
    ),
    "Azure client secret": (f"ab18Q~{made(34)}"[:40], f"ab18Q-{made(34)}"),
    "Azure shared access signature": (
        f"https://x.example/b?sv=1&s{'ig='}{made(43)}%3D",
        "https://x.example/b?sv=1&sig=short",
    ),
    "Google API key": ("AI" + "za" + made(35), "AI" + "za" + made(34)),
    "Google client secret": ("GOC" + "SPX-" + made(28), "GOC" + "SPX-" + made(12)),
    "Google access token": ("ya" + "29." + made(60), "ya" + "29." + made(8)),
    "GitHub token": ("gh" + "p_" + made(36), "gh" + "p_" + made(30)),
    "GitLab token": ("gl" + "pat-" + made(20), "gl" + "pat-" + made(12)),
    "Slack token": ("xo" + "xb-" + made(24, string.digits), "xo" + "xz-" + made(24)),
    "Slack webhook": (
        "https://hooks.slack" + f".com/services/T{made(9)}/B{made(9)}/{made(24)}",
        "https://hooks.slack.com/services/help",
    ),
    "Discord webhook": (
        "https://discord" + f".com/api/webhooks/{made(18, string.digits)}/{made(68)}",
        "https://discord.com/api/webhooks/docs",
    ),
    "Stripe key": ("sk" + "_live_" + made(24), "sk" + "_live_" + "abc"),
    "OpenAI or Anthropic key": ("sk" + "-proj-" + made(48), "sk" + "-learn-contrib"),
    "Hugging Face token": (
        "h" + "f_" + made(34, string.ascii_letters),
        "h" + "f_" + made(20, string.ascii_letters),
    ),
    "SendGrid key": ("S" + f"G.{made(22)}.{made(43)}", "S" + f"G.{made(22)}.{made(10)}"),
    "Twilio key": ("S" + "K" + made(32, HEX), "SKU" + made(31, HEX)),
    "Mailgun key": ("ke" + "y-" + made(32, HEX), "ke" + "y-" + made(20, HEX)),
    "Shopify token": ("shp" + "at_" + made(32, HEX), "shp" + "at_" + made(10, HEX)),
    "DigitalOcean token": ("dop" + "_v1_" + made(64, HEX), "dop" + "_v1_" + made(20, HEX)),
    "Databricks token": ("da" + "pi" + made(32, HEX), "da" + "pi" + made(10, HEX)),
    "Docker token": ("dckr" + "_pat_" + made(27), "dckr" + "_pat_" + made(5)),
    "Vault token": ("hv" + "s." + made(24), "hv" + "s." + made(6)),
    "Atlassian token": ("ATA" + "TT3" + made(60), "ATA" + "TT3" + made(10)),
    "Telegram bot token": (
        made(9, string.digits) + ":A" + "A" + made(33),
        made(9, string.digits) + ":A" + "A" + made(12),
    ),
    "npm or PyPI token": ("np" + "m_" + made(36), "np" + "m_" + "config_registry"),
    "JSON web token": (jwt(), "eyJ" + made(60)),
    "password in a URL": (
        "postgres://bob:" + "hunter2@db.example.com/x",
        "postgres://bob:${PASSWORD}@db.example.com/x",
    ),
}
MORE_SECRETS = [
    "-----BEGIN " + "PRIVATE KEY-----",
    "-----BEGIN OPENSSH " + "PRIVATE KEY-----",
    "-----BEGIN PGP " + "PRIVATE KEY BLOCK-----",
    "AS" + "IA" + made(16, UPPER),
    "github" + "_pat_" + made(82),
    "gh" + "s_" + made(36),
    "gl" + "rt-" + made(20),
    "xa" + "pp-1-" + made(11, UPPER) + "-" + made(13, string.digits) + "-" + made(64, HEX),
    "whs" + "ec_" + made(32),
    "sk" + "-ant-" + made(95),
    "py" + "pi-AgE" + made(80),
    "redis://:x@h https://me:" + "s3cr3t!@git.example.com/a.git",
]
NEARLY = [
    "https://example.com:8080/path@here",
    "https://user@example.com/x",
    "mysql://root:<password>@localhost",
    "mysql://root:****@localhost",
    "ftp://anna:xxxx@example.com",
    "time 10:20://a:b",
    "see the sk-learn and task-oriented pages",
    "price_live_stream and under_test_now",
    "SKU 0011223344556677",
    made(40, HEX),
    made(64, HEX),
    made(44),
    "123e4567-e89b-12d3-a456-426614174000",
    "order ord_" + made(24),
    "the PRIVATE KEY is in the safe",
    "http://a/?design=sig=now",
]


def kinds(text, **options):
    found = scan(pa.array(["nothing", text]), "note", Settings(**options))
    hits = found[1].hits if 1 in found else ()
    return {(text[hit.start : hit.end], verdict) for hit, verdict in hits if hit.entity == "SECRET"}


def test_every_rule_has_a_secret_and_a_near_miss():
    assert TABLE.keys() == secrets.RULES.keys()


@pytest.mark.parametrize("kind", TABLE)
def test_secrets_and_near_misses(kind):
    secret, nearly = TABLE[kind]
    for text in (secret, f"it is {secret} now", f'"{secret}"'):
        assert {verdict for _, verdict in kinds(text)} == {"error"}, kind
    assert not secrets.hits(f"it is {nearly} now"), kind
    assert secrets._RULES[kind][1].search(secret)


@pytest.mark.parametrize("text", MORE_SECRETS)
def test_other_forms_of_secrets(text):
    assert kinds(text)


@pytest.mark.parametrize("text", NEARLY)
def test_what_nearly_is_a_secret(text):
    assert not kinds(text)


def test_the_keywords_are_in_whatever_the_patterns_match():
    gate = python(secrets.GATE)
    for text in (*(secret for secret, _ in TABLE.values()), *MORE_SECRETS):
        assert gate.search(text)
        assert matches(pa.array([text]), secrets.GATE)[0]


def test_entropy_is_asked_for_and_then_a_warning():
    run = made(40)
    assert not kinds(f"id {run}")
    assert kinds(f"id {run}", entropy=True) == {(run, "warning")}
    assert not kinds("a" * 40 + " internationalisation_of_everything", entropy=True)
    assert not kinds(f"id {run}", entropy=True, secrets=False)
