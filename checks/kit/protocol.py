"""The check protocol: four verbs that every check has, and hooks that a check may offer.

Laws, tested over every check of the registry (`tests/laws`):
  merge(a, merge(b, c)) == merge(merge(a, b), c)      merge(a, b) == merge(b, a)
  the findings are equal for any cut of the rows into shards, in any order, on any engine
  score of one shard depends on that shard and the model alone
  an empty shard and an all-null column never raise
"""

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, Literal, NamedTuple, TypeAlias, TypeVar

import pyarrow as pa

from checks.kit import findings
from checks.kit.contract_model import Column, Contract
from checks.kit.option_types import Takes
from provenance.rows.shards import Shard, ShardRef

FileUse: TypeAlias = Literal["private", "model", "rows"]
State = TypeVar("State")
Fitted = TypeVar("Fitted", bound="Model")


class Explanation(NamedTuple):
    """What `assay explain` says about a rule: how severe, what it means, when it fires, the fix."""

    severity: tuple[findings.Severity, ...]
    means: str
    fires: str
    fix: str


Explains: TypeAlias = Mapping[str, Explanation]  # by rule id, as findings carry it


@dataclasses.dataclass(frozen=True, slots=True)
class Panel:
    """One column in the reference and in this run, as counts, for the report to draw.

    Attributes:
        edges: inner edges of a number's bins, ascending; empty for categories.
        categories: names of a category's bins; empty for a number.
        reference: int counts per bin; if they are one more than `categories`, the last is new ones.
        current: the same bins in this run.
        statistic: name of the worst measure, e.g. "PSI"; of a protected column, a note instead.
        value: the measure; limit: from which it is an error, None where none is set.
        is_drifted: whether the column is beyond its limit.
        missing: shares of missing cells in the reference and in this run, or None.
        absent: numbers of missing cells in the reference and in this run.
        is_protected: whether the counts may only be published with noise; then `value` is None.
    """

    column: str
    edges: tuple[float, ...]
    categories: tuple[str, ...]
    reference: tuple[int, ...]
    current: tuple[int, ...]
    statistic: str = ""
    value: float | None = None
    limit: float | None = None
    is_drifted: bool = False
    missing: tuple[float, float] | None = None
    absent: tuple[int, int] = (0, 0)
    is_protected: bool = False


@dataclasses.dataclass(frozen=True)
class Model:
    """What `finish` makes of a state; a check adds fields of its own.

    Attributes:
        overall: findings about the whole dataset (`row` is null), reported once.
        notes: sentences for the report, e.g. the expected share of false quarantines.
        panels: columns for the report to draw.
        memory: what the ledger keeps of this run for the same check in later runs: a few plain
            JSON values, numbers rounded to `findings.DECIMALS`, nothing from a protected column.
    """

    overall: findings.Findings = dataclasses.field(default_factory=findings.empty)
    notes: tuple[str, ...] = ()
    panels: tuple[Panel, ...] = ()
    memory: Mapping[str, Any] = dataclasses.field(default_factory=dict, kw_only=True)


@dataclasses.dataclass(frozen=True, slots=True)
class Context:
    """What a check may know in addition to the shards: plain data that travels between processes.

    Attributes:
        contract: columns with their roles, the policy, the options of each check.
        schema: Arrow schema of the shards' own columns.
        rows: number of rows in all shards.
        reference: trusted rows with the same columns, or None.
        seed: for everything random.
        history: by check, the memory of earlier runs on the dataset with the same reference,
            oldest first, each with its `run` and `time`.
        test: rows that models will be evaluated on, with the same columns, or None.
        folder: of the source's files, which files beside the table are relative to; empty if the
            source is no local file.
        corrected: labels as persons corrected them, by row.
    """

    contract: Contract
    schema: pa.Schema
    rows: int
    reference: pa.Table | None = None
    seed: int = 0
    history: Mapping[str, tuple[Mapping[str, Any], ...]] = dataclasses.field(default_factory=dict)
    test: pa.Table | None = None
    folder: str = ""
    corrected: Mapping[int, str] = dataclasses.field(default_factory=dict)

    def without(self, names: list[str]) -> "Context":
        """Return the same context with the named columns ignored."""
        columns = tuple(
            dataclasses.replace(column, roles=column.roles | {"ignore"})
            if column.name in names
            else column
            for column in self.contract.columns
        )
        return dataclasses.replace(
            self, contract=dataclasses.replace(self.contract, columns=columns)
        )


class Check(abc.ABC, Generic[State, Fitted]):
    """Base of all checks. `name` and rule ids are storage keys: never rename them.

    The pipeline reaches a check only through the registry. What else it may need from one is a
    hook: a class method whose default does nothing, overridden by the check that offers it.

    Class attributes:
        name: the check's name in findings, contracts and reports.
        threats: the threats of README.md that it addresses.
        needs: what must exist for it to run: roles of columns, "reference", "test" (a test set
            that the contract names), "nested" (a nested column).
        needs_one: of which one must exist; by default nothing.
        takes: the options that `assay.checks` may give it, with their types: see `option_types`.
        named_files: the options that name a file, with its use. The run records a digest of each.
            "private": personal data, whose digest is keyed; the check may read only the bytes
            that were digested, whose SHA-256 the run adds as option `NAME_sha256`. "model": a
            folder or an installed package. "rows": a dataset, read like a source.
        libraries: the modules of libraries that it imports late and nearly always uses; a run
            imports them while it reads the source.
        is_of_role: whether a run says nothing of it where no column has the roles that it needs.
        is_option: whether it runs only where `assay.checks` names it.
        finds_telling_columns: whether the columns of its overall errors give the label away, so
            that no other check may learn from them.
        is_graded: whether a higher score of a finding on a row means a likelier fault, so that
            decisions of persons and the contract may raise the score from which an error holds its
            row. Never for a check that searches for personal data or poison.
        explains: every rule that its findings may carry, except codes such as ASSAY-V004.
    """

    name: ClassVar[str]
    threats: ClassVar[tuple[str, ...]]
    needs: ClassVar[frozenset[str]] = frozenset()
    needs_one: ClassVar[frozenset[str]] = frozenset()
    takes: ClassVar[Takes] = {}
    named_files: ClassVar[Mapping[str, FileUse]] = {}
    libraries: ClassVar[tuple[str, ...]] = ()
    is_option: ClassVar[bool] = False
    is_of_role: ClassVar[bool] = False
    finds_telling_columns: ClassVar[bool] = False
    is_graded: ClassVar[bool] = False
    explains: ClassVar[Explains] = {}

    def __init__(self, context: Context) -> None:
        """Keep the context; options of this check are `self.options`."""
        self.context = context
        self.options: dict[str, Any] = context.contract.options(self.name)

    @abc.abstractmethod
    def fit(self, shard: Shard) -> State:
        """Summarise one shard."""

    @abc.abstractmethod
    def merge(self, left: State, right: State) -> State:
        """Join two summaries; associative and commutative."""

    @abc.abstractmethod
    def finish(self, state: State) -> Fitted:
        """Turn the merged state into a model, once."""

    @abc.abstractmethod
    def score(self, shard: Shard, model: Fitted) -> findings.Findings:
        """Report what the model finds in one shard."""

    # the hooks

    @classmethod
    def prepare(cls, contract: Contract) -> None:
        """Load what the options name; AssayError ASSAY-K003 if it cannot be used."""

    @classmethod
    def redact(
        cls,
        texts: pa.Array,
        column: str,  # noqa: ARG003
        contract: Contract,  # noqa: ARG003
        *,
        key: bytes | None = None,  # noqa: ARG003
    ) -> pa.Array:
        """Return a column's cells with placeholders for what must not be published.

        Args:
            texts: shape (n,); null stays null, and cells other than text stay unchanged.
            column: the column's name; a column that the contract allows stays unchanged.
            contract: whose options say what to replace.
            key: with it, equal values get equal pseudonyms.
        """
        return texts

    @classmethod
    def scan_clean(
        cls,
        table: pa.Table,  # noqa: ARG003
        contract: Contract,  # noqa: ARG003
        found: findings.Findings | None = None,  # noqa: ARG003
    ) -> findings.Findings:
        """Return what rows about to be published still hold; `row` counts from 0 in `table`.

        `found` are the findings of the run that is about to publish them.
        """
        return findings.empty()

    @classmethod
    def suggest(cls, column: Column, texts: pa.Array) -> tuple[str, ...]:  # noqa: ARG003
        """Return comments on a column for the person who reviews a proposed contract.

        Args:
            column: as proposed so far.
            texts: some cells of a string column, shape (n,); empty for other columns.
        """
        return ()

    @classmethod
    def is_private(cls, column: str, values: pa.Array | None = None) -> bool:  # noqa: ARG003
        """Return whether values must stay out of a contract, which many people read.

        Args:
            column: the column's name.
            values: strings, shape (n,), judged by their content; None to judge the name alone.
        """
        return False

    @classmethod
    def conclude(
        cls,
        context: Context,  # noqa: ARG003
        found: findings.Findings,  # noqa: ARG003
        shards: list[ShardRef],  # noqa: ARG003
        memory: Mapping[str, Any],
    ) -> Model:
        """Return further overall findings, drawn from the findings of all checks, and a memory.

        Called once, after all checks, if this one ran.

        Args:
            context: the context of the run.
            found: the findings of all checks.
            shards: what was examined.
            memory: the memory that `finish` left; the one returned replaces it.
        """
        return Model(memory=memory)
