"""The check protocol: four verbs, and no fifth.

Laws, tested over every check of the registry (`tests/laws`):
  merge(a, merge(b, c)) == merge(merge(a, b), c)      merge(a, b) == merge(b, a)
  the findings are equal for any cut of the rows into shards, in any order, on any engine
  score of one shard depends on that shard and the model alone
  an empty shard and an all-null column never raise
"""

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, NamedTuple, TypeAlias, TypeVar

import pyarrow as pa

from checks.kit import findings
from checks.kit.contract_model import Contract
from checks.kit.option_types import Takes
from provenance.rows.shards import Shard

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
    """One column in the reference and now, as counts, for the report to draw.

    Attributes:
        edges: inner edges of a number's bins, ascending; empty for categories.
        categories: names of a category's bins; empty for a number.
        reference: int counts per bin; current: the same bins now, new categories last.
        statistic: what was measured, in words, worst first; limit: from where it is an error.
        missing: shares of missing cells in the reference and now.
        absent: numbers of missing cells in the reference and now.
        is_protected: whether the counts may only be published with noise; then `value` is None.
    """

    column: str
    edges: tuple[float, ...]
    categories: tuple[str, ...]
    reference: tuple[int, ...]
    current: tuple[int, ...]
    statistic: str
    value: float | None
    limit: float | None
    is_drifted: bool
    missing: tuple[float, float] | None
    absent: tuple[int, int] = (0, 0)
    is_protected: bool = False


@dataclasses.dataclass(frozen=True)
class Model:
    """What `finish` makes of a state; a check adds its own fields.

    Attributes:
        overall: findings on the dataset as a whole (`row` is null), reported once.
        notes: sentences for the report, e.g. the expected share of false quarantines.
        panels: columns for the report to draw.
        memory: what the ledger shall keep of this run for the same check on later nights: few plain
            JSON values, numbers rounded to `findings.DECIMALS`, nothing of a protected column.
    """

    overall: findings.Findings = dataclasses.field(default_factory=findings.empty)
    notes: tuple[str, ...] = ()
    panels: tuple[Panel, ...] = ()
    memory: Mapping[str, Any] = dataclasses.field(default_factory=dict, kw_only=True)


@dataclasses.dataclass(frozen=True, slots=True)
class Context:
    """What a check may know beside the shards; plain data, travels between processes.

    Attributes:
        contract: columns with roles, policy, options of each check.
        schema: Arrow schema of the shards' own columns.
        rows: number of rows in all shards.
        reference: trusted rows with the same columns, or None.
        seed: of everything random.
        history: of each check, what earlier nights of the dataset under the same reference left as
            its memory, oldest first, each with the `run` and `time` it is of.
        test: rows that models will be measured on, with the same columns, or None.
    """

    contract: Contract
    schema: pa.Schema
    rows: int
    reference: pa.Table | None = None
    seed: int = 0
    history: Mapping[str, tuple[Mapping[str, Any], ...]] = dataclasses.field(default_factory=dict)
    test: pa.Table | None = None

    def without(self, names: list[str]) -> "Context":
        """Return the context in which the named columns are ignored."""
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

    Class attributes:
        name: the check's name in findings, contracts and reports.
        threats: the threats of README.md that it stands against.
        needs: what must exist for it to run: any of "label", "source", "time", "reference",
            "quasi_identifier".
        takes: options that `assay.checks` may give it, and what each one is: see `option_types`.
        is_option: whether it runs only where `assay.checks` names it.
        finds_telling_columns: whether the columns of its overall errors give the label away, so
            that no other check may learn from them.
        explains: every rule that its findings may carry, except codes such as ASSAY-V004.
    """

    name: ClassVar[str]
    threats: ClassVar[tuple[str, ...]]
    needs: ClassVar[frozenset[str]] = frozenset()
    takes: ClassVar[Takes] = {}
    is_option: ClassVar[bool] = False
    finds_telling_columns: ClassVar[bool] = False
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
