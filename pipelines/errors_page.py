"""The page docs/errors.md, generated from the table of codes by `make errors`."""

import sys
from pathlib import Path

from provenance.base.codes import CODES, exit_of

HEAD = """# Codes

Every refusal, reason and warning carries one of these codes; `assay explain ASSAY-I035` prints the
same text. Codes are never reused. `make errors` generates this page from
`provenance/base/codes.py`.

Exit codes: 0 pass; 1 the data failed; 2 usage or contract error; 3 could not check; 4 the ledger or
a recorded digest does not hold; 130 interrupted. The last column gives the exit code of a command
that ends with this code or has it as a reason of its verdict. The reason of a quarantined row, or a
warning, does not affect the exit code.
"""
SERIES = {
    "I": "I: the source cannot be read as it claims to be",
    "V": "V: values that a model should not learn from",
    "C": "C: the contract or the command line",
    "K": "K: what the checks found in the dataset, or why they could not run",
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
