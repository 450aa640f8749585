"""The reviewed rows that graded rules held, each with its score and what a person found.

A score is in the findings of the run that the decision was made on. Where that run is no longer
there, its released rows teach nothing, and its wrong ones count against every threshold: removing
a run must not make a rule milder.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from checks.kit import registry
from checks.kit.findings import Findings
from pipelines.learning.precision import RIGHT
from pipelines.store.decisions import History
from pipelines.store.opinions import Decision
from pipelines.store.store import Store

MOST_RUNS = 50  # whose findings are read: those of the newest decisions
MADE_MILDER = (
    "a warning, not an error: "  # begins the suggestion of a finding that a lesson changed
)
COLUMNS = ["row", "rule", "column", "severity", "score", "suggestion"]
UNKNOWN = float("-inf")
Key: TypeAlias = tuple[str, str]  # a rule, and a column, or nothing for whole rows
Cases: TypeAlias = "Mapping[Key, list[Case]]"


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Case:
    """A reviewed row that a rule held, or would have held but for a lesson.

    Attributes:
        score: of the finding; UNKNOWN if it is gone.
        is_wrong: whether the reviewer did anything but release it.
    """

    score: float
    is_wrong: bool


def of(store: Store, history: History) -> Cases:
    """Return the cases of each rule and column, by ascending score.

    Args:
        store: with the runs that the decisions were made on.
        history: the decisions in force on the dataset, from `in_force`.

    Raises:
        AssayError: ASSAY-L011 if a file of such a run is not as recorded.
    """
    if not history.stacks:
        return {}  # without an import of the checks
    rules = registry.graded_rules()
    made = by_run(history, rules)
    cases = defaultdict[Key, list[Case]](list)
    for number, base in enumerate(sorted(made, reverse=True)):
        files = store.reader(store.ledger.read(base))
        if number < MOST_RUNS and files.is_there():
            found = pa.concat_tables(files.tables("findings", COLUMNS))
            parts = _scored(found, made[base], rules)
        else:
            parts = _unscored(made[base], rules)
        for key, case in parts:
            cases[key].append(case)
    return {key: sorted(cases[key]) for key in sorted(cases)}


def by_run(history: History, rules: frozenset[str]) -> dict[int, list[Decision]]:
    """Return the decisions in force on rows that one of some rules accused, by run."""
    made = defaultdict[int, list[Decision]](list)
    for stack in history.stacks.values():
        last = stack[-1]
        if any(text.partition(" ")[0] in rules for text in last.accused):
            made[last.base].append(last)
    return made


def _scored(
    found: Findings, made: Iterable[Decision], rules: frozenset[str]
) -> Iterator[tuple[Key, Case]]:
    by_row: Mapping[int, Decision] = {each.row: each for each in made}
    is_held = pc.or_(
        pc.equal(found["severity"], "error"), pc.starts_with(found["suggestion"], MADE_MILDER)
    )
    is_ours = pc.and_(
        pc.is_in(found["rule"], pa.array(sorted(rules))),
        pc.is_in(found["row"], pa.array([*by_row], pa.int64())),
    )
    for item in found.filter(pc.and_(is_held, is_ours)).to_pylist():
        is_wrong = by_row[item["row"]].decision != RIGHT
        yield (item["rule"], item["column"] or ""), Case(item["score"], is_wrong)


def _unscored(made: Iterable[Decision], rules: frozenset[str]) -> Iterator[tuple[Key, Case]]:
    for each in made:
        for text in sorted(each.accused if each.decision != RIGHT else ()):
            rule, _, column = text.partition(" ")
            if rule in rules:
                yield (rule, column), Case(UNKNOWN, is_wrong=True)
