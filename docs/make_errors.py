"""The page docs/errors.md, generated from the table of codes and from the registry of checks."""

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

from checks.kit import registry
from checks.kit.protocol import Explanation
from checks.rules import explanations
from pipelines.commands.explain import any_of, blind_to
from provenance.base.codes import CODES, exit_of

HEAD = """# Codes and rules

Every refusal, reason and warning carries one of these codes, every finding one of these codes or
rules; `assay explain ASSAY-I035` and `assay explain outliers.joint` print the same text. Codes and
rule ids are never reused. `make reference` writes this page from `provenance/base/codes.py` and the
checks.

Exit codes: 0 pass; 1 the data failed; 2 usage or contract error; 3 could not check; 4 the ledger or
a recorded digest does not hold; 130 interrupted. The exit column is the exit code when the code
ends a command or is a reason for its verdict. As the reason for a quarantined row, or as a warning,
a code does not change the exit code.
"""
RULES = """
# Rules of the checks

A finding of severity error quarantines its row, or fails the run if it concerns the whole dataset;
warnings and information leave the row clean. Checks also report codes of the series V and K above.
"""
CONTRACT = """
## Rules of a contract

A contract's rules are named after their column and kind, such as `age.minimum`, unless the contract
gives them a `name`; `.2` is appended to an id that occurs again. The contract sets the severity of
each; the default is error. The findings of `required`, `unique` and the label carry codes.
"""
SERIES = {
    "I": "I: the source cannot be read as it claims to be",
    "V": "V: values that a model should not learn from",
    "C": "C: the contract or the command line",
    "K": "K: what the checks found in the dataset, or that they could not run",
    "L": "L: the ledger or a recorded digest does not hold",
    "E": "E: the environment",
    "G": "G: the gate",
}


def page() -> str:
    """Return the whole page as Markdown."""
    return "".join([HEAD, *_codes(), RULES, *_checks(), CONTRACT, *_contract()])


def _codes() -> Iterator[str]:
    for letter, title in SERIES.items():
        yield f"\n## {title}\n\n| code | means | do | exit |\n|---|---|---|---|\n"
        for code, (means, fix) in CODES.items():
            if code[0] == letter:
                yield f"| ASSAY-{code} | {means} | {fix} | {exit_of(code)} |\n"


def _checks() -> Iterator[str]:
    for name, check in registry.load().items():
        yield f"\n## {name}\n\nGets past it: {blind_to(check.__module__)}\n"
        yield _table(check.explains) if check.explains else "\nIts findings carry codes only.\n"


def _contract() -> Iterator[str]:
    yield f"\nGets past them: {blind_to(explanations.__name__)}\n"
    yield _table({**explanations.KINDS, "expect_...": explanations.EXPECTATION})


def _table(rules: Mapping[str, Explanation]) -> str:
    lines = []
    for item, alike in itertools.groupby(rules, key=rules.__getitem__):
        cells = [", ".join(alike), any_of(item.severity), item.means, item.fires, item.fix]
        lines.append(f"| {' | '.join(cells)} |\n")
    return "\n| rule | severity | means | fires | do |\n|---|---|---|---|---|\n" + "".join(lines)


if __name__ == "__main__":
    Path(__file__).with_name("errors.md").write_text(page(), encoding="utf-8")
