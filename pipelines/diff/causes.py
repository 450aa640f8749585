"""Why a row's fate differs in the second run: the cause is named where only one is possible.

A fate rests on grounds: findings of severity `error`, or the code of a rejected row. DuckDB gathers
the grounds that only one of the two runs has and groups equal cases; each case is judged once.
Whatever a ground depends on and differs between the runs may be its cause. One such thing is the
cause; with several the cause is `unknown`. docs/diff.md has the full rules.
"""
# ruff: noqa: S608  # every name in the SQL here is our own; cells travel as Arrow

import contextlib
import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from checks.kit.contract_model import Contract, Rule
from pipelines.diff.compared_run import ComparedRun
from pipelines.diff.pairing import CHANGED, DECIDED, PARTLY_SAME, PairedBy
from provenance.ledger.run_files import FATES

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Cause = Literal["decision", "contract", "code", "data", "model", "unknown"]
ORDER: tuple[Cause, ...] = ("contract", "code", "data", "model")  # which of several counts first
# rules about single rows that depend on other rows as well
_WIDER = frozenset(
    {
        "unique",
        "expect_column_values_to_be_unique",
        "expect_compound_columns_to_be_unique",
        "expect_column_value_z_scores_to_be_less_than",
    }
)
_ALTERING = ("relabel", "redact")
_DECISIONS = pa.schema([("row", pa.int64()), ("decision", pa.string()), ("value", pa.string())])
_REJECTED = pa.schema([("_row", pa.int64()), ("_reason", pa.string())])
_CODE = "^ASSAY-[A-Z][0-9]{3}"
_CLEAN, _QUARANTINED, _UNREADABLE = range(len(FATES))

# pairs that differ, with their place in run b's files
_NOTABLE = f"""
CREATE TABLE notable AS
WITH judged AS (
    SELECT p.*, da.row IS NOT NULL AS decided_a, db.row IS NOT NULL AS decided_b,
        (da.decision, da.value) IS DISTINCT FROM (db.decision, db.value) AS differ, differ AND
        coalesce(da.decision IN {_ALTERING} OR db.decision IN {_ALTERING}, false) AS is_altered
    FROM pairs p LEFT JOIN decided_a da ON da.row = p.a LEFT JOIN decided_b db ON db.row = p.b
), chosen AS (
    SELECT * REPLACE (CASE WHEN is_altered AND content <> {CHANGED} THEN {DECIDED} ELSE content END
        AS content)
    FROM judged WHERE fate_a <> fate_b OR content = {CHANGED} OR is_altered
)
SELECT c.*, b.file, b.place FROM chosen c JOIN b ON b.row = c.b
"""
_TURNED = """
CREATE TABLE turned AS
SELECT a, b, fate_a, fate_b, content, decided_a, decided_b, differ FROM notable
WHERE fate_a <> fate_b
"""
_GROUNDS = """
CREATE TABLE grounds AS
""" + " UNION ALL ".join(
    f"""
SELECT DISTINCT t.a, t.b, '{run}' AS run, f."check", f.rule, coalesce(f."column", '') AS of,
    {_QUARANTINED} AS fate
FROM turned t JOIN found_{run} f ON f.row = t.{run} WHERE f.severity = 'error'
UNION ALL
SELECT t.a, t.b, '{run}', 'ingest', r.code, '', {_UNREADABLE}
FROM turned t JOIN rejected_{run} r ON r.row = t.{run} WHERE r.code <> ''
"""
    for run in "ab"
)
# `u_a` and `u_b` are the fates that the rows would have without any decision
_UNDECIDED = f"""
CREATE TABLE undecided AS
SELECT t.*, CASE WHEN t.decided_a THEN coalesce(w.a_fate, {_CLEAN}) ELSE t.fate_a END AS u_a,
    CASE WHEN t.decided_b THEN coalesce(w.b_fate, {_CLEAN}) ELSE t.fate_b END AS u_b,
FROM turned t LEFT JOIN (
    SELECT a, b, max(fate) FILTER (run = 'a') AS a_fate, max(fate) FILTER (run = 'b') AS b_fate
    FROM grounds GROUP BY a, b
) w ON w.a = t.a AND w.b = t.b
"""
# the grounds that only one run has; where the row cannot be read, that ground alone counts
_CASES = f"""
CREATE TABLE cases AS
WITH lone AS (
    SELECT a, b, "check", rule, of, fate, min(run) AS run FROM grounds
    GROUP BY a, b, "check", rule, of, fate HAVING count(*) = 1
), listed AS (
    SELECT u.a, u.b, list_sort(list([l."check", l.rule, l.of, l.run])) AS grounds
    FROM undecided u JOIN lone l ON l.a = u.a AND l.b = u.b
    WHERE u.u_a <> u.u_b AND l.fate = greatest(u.u_a, u.u_b) GROUP BY u.a, u.b
), explained AS (
    SELECT u.a, u.b, u.fate_a, u.fate_b, u.content, u.u_b = {_CLEAN} AS leaves,
        u.differ AND (u.u_a = u.u_b OR (u.decided_b AND u.u_b <> u.fate_b)) AS is_decided,
        coalesce(l.grounds, []) AS grounds
    FROM undecided u LEFT JOIN listed l ON l.a = u.a AND l.b = u.b
)
SELECT *, dense_rank() OVER (ORDER BY is_decided, content, leaves, grounds) - 1 AS kind
FROM explained
"""
_KINDS = """
SELECT any_value(is_decided), any_value(content), any_value(leaves), any_value(grounds)
FROM cases GROUP BY kind ORDER BY kind
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Ground:
    """What only one of the two runs (`a` or `b`) has against a row."""

    check: str
    rule: str
    column: str
    run: str


@dataclasses.dataclass(frozen=True, slots=True)
class Explained:
    """Why a fate changed; `may_be` lists the possible causes where the cause is unknown."""

    cause: Cause
    may_be: tuple[Cause, ...] = ()
    grounds: tuple[Ground, ...] = ()


def register(
    connection: "DuckDBPyConnection", a: ComparedRun, b: ComparedRun, stack: contextlib.ExitStack
) -> None:
    """Make `found_`, `rejected_` and `decided_` of each run queryable.

    `stack` keeps the files open that they are read from.
    """
    for name, run in (("a", a), ("b", b)):
        connection.register(f"found_{name}", run.files.dataset("findings", stack))
        rejected = run.files.dataset("rejected", stack, _REJECTED)
        connection.register(f"reasons_{name}", rejected)
        connection.execute(
            f"CREATE VIEW rejected_{name} AS SELECT _row AS row, "
            f"regexp_extract(_reason, '{_CODE}') AS code FROM reasons_{name}"
        )
        decided = [
            {"row": item.row, "decision": item.decision, "value": item.value}
            for item in run.decisions.values()
        ]
        connection.register(f"decided_{name}", pa.Table.from_pylist(decided, _DECISIONS))


def explain(connection: "DuckDBPyConnection", judge: "Judge") -> list[Explained]:
    """Explain each changed fate.

    Leaves in the database `notable`, the pairs that differ, with `file` and `place` of the row in
    run b; and `cases`, those whose fate changed, with `kind`: an index into the returned list.
    """
    for query in (_NOTABLE, _TURNED, _GROUNDS, _UNDECIDED, _CASES):
        connection.execute(query)
    explained = []
    for is_decided, content, leaves, listed in connection.execute(_KINDS).fetchall():
        grounds = tuple(Ground(*item) for item in listed)
        made = judge.judge(grounds, content, leaves=leaves)
        explained.append(Explained("decision", (), grounds) if is_decided else made)
    return explained


class Judge:
    """Judges grounds by what differs between two runs."""

    def __init__(self, a: ComparedRun, b: ComparedRun, by: PairedBy) -> None:
        """Note once what differs between the runs as a whole."""
        self._runs, self._compared = (a, b), set(by.compared or ())
        self._is_code_different = _code_of(a.facts) != _code_of(b.facts)
        self._is_reference_different = _hashes(a, "reference") != _hashes(b, "reference")
        self._are_sources_different = _hashes(a, "inputs") != _hashes(b, "inputs")

    def judge(self, grounds: tuple[Ground, ...], content: int, *, leaves: bool) -> Explained:
        """Return the cause of a changed fate.

        Args:
            grounds: what only one run has against the row.
            content: what is known about the row's content.
            leaves: whether the row is clean in the second run. Every ground had to go for that,
                while a single new ground is enough for the opposite.
        """
        candidates = [self._candidates(ground, content) for ground in grounds]
        certain = {cause for found in candidates if len(found) == 1 for cause in found}
        is_open = any(len(found) != 1 for found in candidates)
        if not certain or (leaves and is_open):
            every = frozenset[Cause]().union(*candidates)
            may_be = tuple(cause for cause in ORDER if cause in every)
            return Explained("unknown", may_be, grounds)
        return Explained(next(cause for cause in ORDER if cause in certain), (), grounds)

    def _candidates(self, ground: Ground, content: int) -> frozenset[Cause]:
        """Return the possible causes of a ground that only one run has; empty if unknown."""
        mine, theirs = (_terms(run.contract, ground) for run in self._runs)
        statuses = {run.facts["checks"].get(ground.check) for run in self._runs}
        is_row_changed = content == CHANGED or (
            content == PARTLY_SAME and not self._is_compared(ground)
        )
        found: set[Cause] = set()
        if mine != theirs:
            if (mine is None or theirs is None or "skipped" in statuses) and not is_row_changed:
                return frozenset(("contract",))  # without the rule there can be no such ground
            found.add("contract")
        if statuses != {"ok"}:
            return frozenset()  # the check did not run, and no digest says why
        if self._is_code_different:
            found.add("code")
        if is_row_changed:
            found.add("data")
        if self._depends_on_other_rows(ground):
            found |= self._causes_in_other_rows(ground, found)
        return frozenset(found)

    def _causes_in_other_rows(self, ground: Ground, found: set[Cause]) -> set[Cause]:
        """Return the causes that lie in other rows; the model stands for them if there is one."""
        models = [run.models.get(ground.check) for run in self._runs]
        by_rows = self._are_sources_different and "data" not in found
        if models == [None, None]:
            return {"data"} if by_rows else set()
        # a model also follows from the contract, the code and the row itself
        is_apart = by_rows or self._is_reference_different or not found
        return {"model"} if models[0] != models[1] and is_apart else set()

    def _depends_on_other_rows(self, ground: Ground) -> bool:
        if ground.check == "contract":
            rules = (rule for run in self._runs for rule in _rules_of(run.contract, ground))
            return any(rule.kind in _WIDER for rule in rules)
        return ground.check != "ingest"

    def _is_compared(self, ground: Ground) -> bool:
        """Return whether every column that a ground depends on is among the compared ones."""
        names = set(ground.column.split(", ")) if ground.check in ("ingest", "contract") else {""}
        return names <= self._compared


def _rules_of(contract: Contract, ground: Ground) -> list[Rule]:
    """Return the rules of a contract that can give a ground."""
    return [
        rule
        for rule in contract.rules
        if rule.id == ground.rule and _column_of(rule) == ground.column
    ]


def _terms(contract: Contract, ground: Ground) -> Any:
    """Return everything in a contract that a ground depends on, or None if it has no such rule."""
    columns = [column for column in contract.columns if ground.column in ("", column.name)]
    if ground.check == "ingest":
        return [column.spec for column in columns], contract.csv, dict(contract.limits)
    if ground.check == "contract":
        rules = _rules_of(contract, ground)
        named = {name for rule in rules for name in rule.params.get("columns", ())}
        wide = [c.spec for c in contract.columns if c.name in named] or [c.spec for c in columns]
        stated = [(rule.kind, dict(rule.params), rule.severity) for rule in rules]
        return (stated, wide) if rules else None
    if contract.is_off(ground.check):
        return None
    return contract.columns, contract.policy.alpha, contract.options(ground.check)


def _column_of(rule: Rule) -> str:
    if "columns" in rule.params:
        return ", ".join(rule.params["columns"])
    return rule.column or ""


def _hashes(run: ComparedRun, name: str) -> list[str]:
    return [item["sha256"] for item in run.facts[name]]


def _code_of(facts: Mapping[str, Any]) -> Any:
    """Return the code that wrote a run's files; a release's own, not that of its base's checks."""
    return facts.get("released_by", facts["code"])
