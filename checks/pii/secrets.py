"""Secrets: keys and passwords that have a form of their own; plain high entropy is no evidence.

Each rule is one pattern in the common part of RE2 and re, so the pattern is its own gate and the
scan of a column without secrets is one RE2 pass. Matched text is never reported.
Source: the issuers' own documents on the forms of their tokens.
"""

import re

from checks.pii.recognizers import Hit

ENTITY = "SECRET"
RULES = {
    "private key": r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----",
    "AWS access key": r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b",
    "GitHub token": r"\b(?:gh[pousr]_[0-9A-Za-z]{36,255}|github_pat_[0-9A-Za-z_]{60,255})",
    "GitLab token": r"\bgl(?:pat|ptt|rt|dt|cbt|ft|soat)-[0-9A-Za-z_-]{20,64}",
    "Slack token": r"\bxox[abeoprs]-[0-9A-Za-z-]{10,250}",
    "Slack webhook": r"hooks\.slack\.com/services/T[0-9A-Z/a-z]{20,}",
    "Stripe key": r"\b(?:sk|rk)_(?:live|test)_[0-9A-Za-z]{16,247}",
    "Google API key": r"\bAIza[0-9A-Za-z_-]{35}",
    "OpenAI or Anthropic key": r"\bsk-(?:ant-|proj-|svcacct-)?[0-9A-Za-z_-]{32,250}",
    "SendGrid key": r"\bSG\.[0-9A-Za-z_-]{22}\.[0-9A-Za-z_-]{43}",
    "npm or PyPI token": r"\bnpm_[0-9A-Za-z]{36}|\bpypi-AgE[0-9A-Za-z_-]{50,500}",
    "JSON web token": r"\beyJ[0-9A-Za-z_-]{8,}\.eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]{8,}",
    "password in a URL": r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@]{1,100}:[^\s/:@]{3,100}@[0-9A-Za-z]",
}
GATE = "|".join(f"(?:{pattern})" for pattern in RULES.values())
_PATTERN = re.compile(GATE, re.ASCII)


def hits(text: str) -> list[Hit]:
    """Return the secrets of a text, in order."""
    return [Hit(*match.span(), ENTITY, 1.0) for match in _PATTERN.finditer(text)]
