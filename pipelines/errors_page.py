"""The page docs/errors.md, made from the table of codes; `make errors` writes it."""

import sys
from pathlib import Path

from provenance.base.codes import CODES, exit_of

HEAD = """# Codes

Every refusal, reason and warning carries one of these codes; `assay explain ASSAY-I035` prints the
same text. Codes are never reused. Made from `provenance/base/codes.py` by `make errors`.

Exit codes: 0 pass; 1 the data failed; 2 usage or contract error; 3 could not check; 4 the ledger or
a recorded digest does not hold; 130 interrupted. The exit column says what a code leads to when it
ends a command or is a reason of its verdict; as the reason of a quarantined row, or as a warning,
it leads to nothing.
"""
SERIES = {
    "I": "I: the source cannot be read as it claims to be",
    "V": "V: values a model should not learn from",
    "C": "C: the contract or the command line",
    "K": "K: what the checks say of the dataset, or that they could not",
    "L": "L: the ledger or a recorded digest does not hold",
    "E": "E: the environment",
    "G": "G: the gate",
}


def page() -> str:
    """Return the whole page as Markdown."""
    parts = [HEAD]
    for letter, title in SERIES.items():
        parts.append(f"\n## {title}\n\n| code | means | do | exit |\n|---|---|---|---|\n")
        parts += [
            f"| ASSAY-{code} | {means} | {fix} | {exit_of(code)} |\n"
            for code, (means, fix) in CODES.items()
            if code[0] == letter
        ]
    return "".join(parts)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
