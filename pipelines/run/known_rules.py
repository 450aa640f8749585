"""What a run of a contract learns from Great Expectations, so that later runs need not import it.

Only contracts whose rules are all plain (`checks.rules.plain_rules`) have it: the condition or the
limits of each rule, and the library's documents. Everything is a JSON value; nothing of it comes
from a cell.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from checks.rules import one_pass, plain_rules
from checks.rules.suite import Clause
from pipelines.run.kept_docs import Documents

if TYPE_CHECKING:
    import duckdb


@dataclasses.dataclass(frozen=True, slots=True)
class Judged:
    """The clauses over the rows.

    Attributes:
        rows: by number of a clause on rows, those that break it: int64, sorted.
        failed: by number, why a clause could not be evaluated.
        results: by key, counts and success of every clause, as Great Expectations names them.
    """

    rows: Mapping[int, np.ndarray]
    failed: Mapping[int, Exception]
    results: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class KnownRules:
    """What a later run of the contract needs instead of Great Expectations.

    Attributes:
        types: DuckDB's type of each column, on which the conditions depend.
        learned: what the library said of the clauses.
        documents: of the library.
    """

    types: dict[str, str]
    learned: plain_rules.Learned
    documents: Documents

    @classmethod
    def of_json(cls, given: Mapping[str, Any]) -> Self:
        """Return what `as_json` wrote."""
        learned, documents = given["learned"], given["documents"]
        return cls(given["types"], plain_rules.Learned(**learned), Documents(**documents))

    def as_json(self) -> dict[str, Any]:
        """Return the value as JSON."""
        return dataclasses.asdict(self)

    def judged(
        self,
        connection: "duckdb.DuckDBPyConnection",
        clauses: Sequence[Clause],
        types: Mapping[str, str],
    ) -> Judged | None:
        """Return the clauses over rows of these types; None if the library is needed after all.

        It is if a column has another type, or if DuckDB refuses a condition or a statistic: the
        library says then which rule cannot be evaluated.
        """
        import duckdb

        if types != self.types:
            return None
        key = {clause.number: clause.key for clause in clauses}
        try:
            found = plain_rules.conditions(connection, clauses, self.learned, types)
            results = plain_rules.results(connection, clauses, found, self.learned, types)
            rows = dict.fromkeys((c.number for c in clauses if c.by_row), np.empty(0, np.int64))
            # a count is planned in a fraction of the time that finding the rows takes
            broken = [n for n in rows if results[key[n]].result["unexpected_count"]]
            rows |= one_pass.offending(connection, {number: found[number] for number in broken})
            return Judged(rows, {}, results)
        except (duckdb.Error, KeyError):
            return None
