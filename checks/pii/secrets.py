"""Secrets: keys and passwords with a recognisable format; mere high entropy only on request.

Each rule is a pattern with literal keywords, one of which every match holds: so the scan of a
column without secrets is one RE2 pass for the keywords, and patterns run on the few texts that
hold one. Ids and hashes are as random as keys and fill training tables, so plain entropy is off by
default (option `entropy`) and then only a warning. Matched text is never reported.
Blind to: passwords without a format (`password: tulip`), keys of issuers not listed, split keys.
Source: the issuers' documentation of their token formats.
"""

import math
import re
from collections import Counter

from checks.pii.hits import Hit, SpanSet

ENTITY = "SECRET"
# name: (keywords, pattern); case-sensitive, as the issuers write them
RULES: dict[str, tuple[tuple[str, ...], str]] = {
    "private key": (
        ("PRIVATE KEY",),
        r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----",
    ),
    "age key": (("AGE-SECRET-KEY-1",), r"\bAGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}\b"),
    "AWS access key": (
        ("AKIA", "ASIA", "ABIA", "ACCA"),
        r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b",
    ),
    "AWS secret key": (
        ("ecret", "ECRET"),
        r"(?i:aws_?secret_?(?:access_?)?key)[\"' :=]{1,8}[0-9A-Za-z/+]{40}(?![0-9A-Za-z/+])",
    ),
    "Azure storage key": (("AccountKey=",), r"\bAccountKey=[0-9A-Za-z+/]{86}=="),
    "Azure client secret": (
        ("Q~",),
        r"(?<![\w~.-])[0-9A-Za-z_~.]{3}[0-9]Q~[\w~.-]{31,34}(?![\w~-])",
    ),
    "Azure shared access signature": (("sig=",), r"[?&]sig=[0-9A-Za-z%+/]{40,}(?:%3[dD]|=)"),
    "Google API key": (("AIza",), r"\bAIza[0-9A-Za-z_-]{35}(?![0-9A-Za-z_-])"),
    "Google client secret": (("GOCSPX-",), r"\bGOCSPX-[0-9A-Za-z_-]{28}(?![0-9A-Za-z_-])"),
    "Google access token": (("ya29.",), r"\bya29\.[0-9A-Za-z_-]{30,}"),
    "GitHub token": (
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
        r"\b(?:gh[pousr]_[0-9A-Za-z]{36,255}|github_pat_[0-9A-Za-z_]{60,255})",
    ),
    "GitLab token": (
        ("glpat-", "glptt-", "glrt-", "gldt-", "glcbt-", "glft-", "glsoat-"),
        r"\bgl(?:pat|ptt|rt|dt|cbt|ft|soat)-[0-9A-Za-z_-]{20,64}",
    ),
    "Slack token": (
        ("xox", "xapp-"),
        r"\bxox[abeoprs]-[0-9A-Za-z-]{10,250}|\bxapp-[0-9]-[0-9A-Z]{8,}-[0-9]{8,}-[0-9a-f]{32,}",
    ),
    "Slack webhook": (("hooks.slack.com",), r"hooks\.slack\.com/services/T[0-9A-Z/a-z]{20,}"),
    "Discord webhook": (
        ("/api/webhooks/",),
        r"discord(?:app)?\.com/api/webhooks/[0-9]{15,21}/[\w-]{60,}",
    ),
    "Stripe key": (
        ("_live_", "_test_", "whsec_"),
        r"\b(?:[sr]k_(?:live|test)_[0-9A-Za-z]{16,247}|whsec_[0-9A-Za-z+/]{32,}=?)",
    ),
    "OpenAI or Anthropic key": (("sk-",), r"\bsk-(?:ant-|proj-|svcacct-)?[0-9A-Za-z_-]{32,250}"),
    "Hugging Face token": (("hf_",), r"\bhf_[A-Za-z]{34}\b"),
    "SendGrid key": (("SG.",), r"\bSG\.[0-9A-Za-z_-]{22}\.[0-9A-Za-z_-]{43}"),
    "Twilio key": (("SK",), r"\bSK[0-9a-f]{32}\b"),
    "Mailgun key": (("key-",), r"\bkey-[0-9a-f]{32}\b"),
    "Shopify token": (("shp",), r"\bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}\b"),
    "DigitalOcean token": (("_v1_",), r"\bdo[opr]_v1_[0-9a-f]{64}\b"),
    "Databricks token": (("dapi",), r"\bdapi[0-9a-f]{32}(?:-[0-9])?\b"),
    "Docker token": (("dckr_pat_",), r"\bdckr_pat_[0-9A-Za-z_-]{27,}"),
    "Vault token": (("hvs.", "hvb."), r"\bhv[sb]\.[0-9A-Za-z_-]{24,}"),
    "Atlassian token": (("ATATT3",), r"\bATATT3[0-9A-Za-z_=-]{50,}"),
    "Telegram bot token": ((":AA",), r"\b[0-9]{8,10}:AA[0-9A-Za-z_-]{33}(?![0-9A-Za-z_-])"),
    "npm or PyPI token": (
        ("npm_", "pypi-AgE"),
        r"\bnpm_[0-9A-Za-z]{36}\b|\bpypi-AgE[0-9A-Za-z_-]{50,500}",
    ),
    "JSON web token": (
        ("eyJ",),
        r"\beyJ[0-9A-Za-z_-]{8,}\.eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]{8,}",
    ),
    # but not the placeholders of documentation, such as ${PASSWORD}, <password>, ****, xxxx
    "password in a URL": (
        ("://",),
        r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@]{1,100}:(?![$<{*%]|[xX]+@)[^\s/:@]{3,100}@[0-9A-Za-z]",
    ),
}
_LITERALS = sorted({word for words, _ in RULES.values() for word in words})
GATE = "|".join(re.escape(word) for word in _LITERALS)
_RULES = {name: (words, re.compile(rule, re.ASCII)) for name, (words, rule) in RULES.items()}

RANDOM_GATE = r"[0-9A-Za-z+/_=-]{20}"
RANDOM_SCORE = 0.5
_RUN = re.compile(r"[0-9A-Za-z+/_=-]{20,}")
_HEX = re.compile(r"[0-9a-fA-F-]+")
_HEX_BITS, _BITS = 3.0, 4.2  # per character; random hex has nearly 4, random base64 nearly 6


def hits(text: str, *, random: bool = False) -> list[Hit]:
    """Return the secrets of a text, in order.

    Args:
        text: one text.
        random: whether high-entropy runs count too, with `RANDOM_SCORE`.
    """
    spans = {
        match.span()
        for words, rule in _RULES.values()
        if any(word in text for word in words)
        for match in rule.finditer(text)
    }
    found = [Hit(*span, ENTITY, 1.0) for span in spans]
    if random:
        occupied = SpanSet(spans)
        runs = (match.span() for match in _RUN.finditer(text) if _is_random(match[0]))
        found += [
            Hit(low, high, ENTITY, RANDOM_SCORE)
            for low, high in runs
            if not occupied.overlaps(low, high)
        ]
    return sorted(found)


def _is_random(run: str) -> bool:
    bits = -sum(n / len(run) * math.log2(n / len(run)) for n in Counter(run).values())
    if _HEX.fullmatch(run):
        return bits >= _HEX_BITS
    return bits >= _BITS and any(char.isdigit() for char in run)
