"""The contract in memory: what a dataset promises, and how Assay enforces it.

`checks.contract.loader` builds it from Open Data Contract Standard v3.1 YAML; it is immutable and
picklable.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from provenance.base.errors import Notice
from provenance.readers.csv_dialect import Dialect
from provenance.rows.column_types import ColumnSpec

Role = Literal[
    "label", "text", "source", "time", "quasi_identifier", "ignore", "sequence",
    "messages", "embedding", "tokens", "tags", "spans", "labels", "probabilities", "group", "file",
]  # fmt: skip
PiiAction = Literal["quarantine", "redact", "pseudonymise", "allow"]


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """One clause of a contract.

    Attributes:
        id: stable name, unique in the contract, e.g. `age.minimum`.
        kind: `minimum`, `maximum`, `pattern`, `required`, `unique`, `rowCount`, `sql`, or the
            type of a Great Expectations expectation (`expect_...`).
        column: the column it applies to, None for the whole table.
        params: its numbers and texts.
        severity: `error`, `warning` or `info`.
        where: `contract.yaml:12`, for messages.
    """

    id: str
    kind: str
    column: str | None
    params: Mapping[str, Any]
    severity: Literal["error", "warning", "info"] = "error"
    where: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """One column: its type for the cast, its roles, and the action on personal data in it.

    `is_personal` says whether the contract sets `assay.pii` for it, whatever the action. `classes`
    are those of a label, as text, in the order of the chances of the role `probabilities`.
    """

    spec: ColumnSpec
    roles: frozenset[Role] = frozenset()
    pii: PiiAction = "quarantine"
    is_personal: bool = False
    key: bool = False
    valid_values: tuple[Any, ...] | None = None
    classes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return the column's name."""
        return self.spec.name

    @property
    def is_protected(self) -> bool:
        """Return whether statistics of the column are published only with noise, or not at all."""
        return (self.is_personal and self.pii != "allow") or "quasi_identifier" in self.roles


@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    """From findings to fates and verdict.

    Attributes:
        alpha: accepted share of false alarms among quarantined rows, in (0, 1).
        max_quarantine_share, max_rejected_share: of the source rows, in [0, 1]; None for the usual
            limit on rejected rows, which accepts a few in a source of any size.
        epsilon, epsilon_total: privacy budget of one run, and of all runs of the dataset, for
            statistics of protected columns; >= 0.
        fail_on: `error`, or `warning` to fail on warnings too.
        decisions_valid: days after which a person's decision on a row lapses; None for never.
        require_reason: whether each decision needs a reason.
        reviewers: people who must decide the same about a row before it counts, 1 or 2.
        second_person: checks; what makes a row clean that one of them accuses needs two people.
        learn: whether a run takes over what decisions teach.
        hold_from: by rule, or rule and column with a blank in between, the score below which an
            error is a warning, in [0, 1].
    """

    alpha: float = 0.1
    max_quarantine_share: float = 0.10
    max_rejected_share: float | None = None
    fail_on: Literal["error", "warning"] = "error"
    epsilon: float = 0.1
    epsilon_total: float = 10.0
    decisions_valid: int | None = None
    require_reason: bool = False
    reviewers: int = 1
    second_person: tuple[str, ...] = ()
    learn: bool = True
    hold_from: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Contract:
    """A whole contract; paths are resolved, texts are as in the YAML.

    `root` is the folder that contains everything the contract may name. The `column` of a nested
    rule is the path of a nested column or of a part of one. `files_root` is the folder of the files
    that columns of the role `file` name, None for that of the source. `has_docs`: whether a run
    draws pages of the rules' results. `inspected`: digest of the patterns and queries that were
    found harmless.
    """

    name: str
    version: str
    path: str
    sha256: str
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...] = ()
    policy: Policy = dataclasses.field(default_factory=Policy)
    checks: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    limits: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    reference: str | None = None
    source: str | None = None
    csv: Dialect = dataclasses.field(default_factory=Dialect)
    warnings: tuple[Notice, ...] = ()
    root: str = ""
    nested_rules: tuple[Rule, ...] = ()
    files_root: str | None = None
    has_docs: bool = True
    inspected: str = ""

    def column(self, name: str) -> Column:
        """Return the column with that name; StopIteration if it does not exist."""
        return next(column for column in self.columns if column.name == name)

    def having(self, role: Role) -> tuple[str, ...]:
        """Return the names of the columns with a role, in order."""
        return tuple(column.name for column in self.columns if role in column.roles)

    def used(self, role: Role) -> tuple[str, ...]:
        """Return the names of the columns with a role that are not ignored, in order."""
        return tuple(c.name for c in self.columns if role in c.roles and "ignore" not in c.roles)

    @property
    def label(self) -> str | None:
        """Return the label column's name."""
        return next(iter(self.having("label")), None)

    @property
    def is_personal(self) -> bool:
        """Return whether a column is marked as personal, so that row ids must not be guessed."""
        return any(column.is_personal for column in self.columns)

    @property
    def protected(self) -> frozenset[str]:
        """Return the columns whose statistics are published only with noise, or not at all."""
        return frozenset(column.name for column in self.columns if column.is_protected)

    @property
    def features(self) -> tuple[str, ...]:
        """Return the flat columns that models may learn from.

        All but the label, the key, the source, groups, files, times, sequences and what is ignored.
        """
        skip = {"label", "source", "time", "ignore", "sequence", "group", "file"}
        return tuple(
            c.name for c in self.columns if not (c.key or c.roles & skip or c.spec.is_nested)
        )

    @property
    def nested_features(self) -> tuple[str, ...]:
        """Return the nested columns that are not ignored."""
        return tuple(c.name for c in self.columns if c.spec.is_nested and "ignore" not in c.roles)

    @property
    def test_set(self) -> str | None:
        """Return the path of the rows that models will be evaluated on, if a check needs them."""
        test = self.options("duplicates").get("test")
        return str(test) if test else None

    def options(self, check: str) -> dict[str, Any]:
        """Return the options of a check in `assay.checks`."""
        given = self.checks.get(check)
        return dict(given) if isinstance(given, Mapping) else {}

    def is_off(self, check: str) -> bool:
        """Return whether `assay.checks` turns a check off (YAML reads a bare `off` as false)."""
        return self.checks.get(check) in ("off", False)
