"""Which columns may be keys: their values all differ, save for a rare few that repeat.

A few repeats speak against a key if the column is one that may repeat, such as a customer's number
in a table of orders. They are faults if the numbers are dense, since values drawn at random from so
narrow a range would repeat far more often, or if the name leaves no doubt (`id`).
"""

import dataclasses
import re
from typing import Any

import numpy as np

from pipelines.proposal.columns import Seen
from pipelines.proposal.deviants import is_rare
from provenance.rows.shards import ROW
from provenance.rows.snapshot import Snapshot

DENSE = 6  # n distinct numbers among n * n / 6 would repeat in 19 of 20 samples if they could
FEWER = 10  # times fewer repeats than random numbers would have
_NUMBERED = 0.95  # of the values have one number in them
_SURE = re.compile(r"(?i)^(id|key|uuid|guid|pk|row_?id|index)$")
# keys with one number in them, such as L-0017; and random ones, such as UUIDs
_FACTS = r"""
SELECT count(v), count(DISTINCT v), avg(regexp_full_match(v, '\D*\d{{1,18}}\D*')::INT),
    quantile_disc(TRY_CAST(regexp_extract(v, '\d{{1,18}}') AS BIGINT), [0.0, 0.01, 0.99, 1.0]),
    bool_and(regexp_full_match(v, '[0-9A-Fa-f]{{16,}}|[0-9A-Fa-f]{{8}}(-[0-9A-Fa-f]{{4,12}}){{4}}'))
        AND bool_or(regexp_matches(v, '[A-Fa-f]'))  -- digits alone may be account numbers
FROM (SELECT {}::VARCHAR AS v FROM read_parquet($1, hive_partitioning = false))"""
_REPEATED = """
SELECT r FROM (SELECT {0} AS r, {1} AS v, count(*) OVER (PARTITION BY {1}) AS n
    FROM read_parquet($1, hive_partitioning = false)) WHERE v IS NOT NULL AND n > 1 ORDER BY r"""


@dataclasses.dataclass(frozen=True, slots=True)
class KeyFacts:
    """What speaks for a key.

    Attributes:
        numbers: (rows, least, greatest) of the numbers in the values, None if those have no number
            or several; random values count as a dense series.
        repeated: rows whose value another row has too, int64, ascending.
    """

    numbers: tuple[int, int, int] | None
    repeated: np.ndarray

    @property
    def is_dense(self) -> bool:
        """Return whether so many different numbers in their range are no coincidence."""
        if self.numbers is None:
            return False
        rows, least, greatest = self.numbers
        return (greatest - least + 1) * DENSE <= rows * rows


def facts(snapshot: Snapshot, names: list[str]) -> dict[str, KeyFacts]:
    """Return what speaks for each of these columns as a key."""
    import duckdb

    found: dict[str, KeyFacts] = {}
    if not names or not snapshot.shards:
        return found
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET enable_progress_bar = false")
        paths = [ref.path for ref in snapshot.shards]
        for name in names:
            quoted = f'"{name.replace(chr(34), chr(34) * 2)}"'
            row: Any = connection.execute(_FACTS.format(quoted), [paths]).fetchone()
            filled, distinct, numbered, ends, is_random = row
            repeated = np.zeros(0, np.int64)
            if distinct < filled:
                query = _REPEATED.format(f'"{ROW}"', quoted)
                repeated = np.asarray(connection.execute(query, [paths]).fetchnumpy()["r"])
            found[name] = KeyFacts(_numbers(filled, distinct, numbered, ends, is_random), repeated)
    return found


def _numbers(
    filled: int,
    distinct: int,
    numbered: float | None,
    ends: Any,
    is_random: bool,  # noqa: FBT001
) -> tuple[int, int, int] | None:
    if is_random:
        return filled, 1, filled
    if not filled or numbered is None or numbered < _NUMBERED or ends is None:
        return None
    is_whole = numbered == 1 and distinct == filled
    least, greatest = (ends[0], ends[3]) if is_whole else (ends[1], ends[2])
    return (distinct, least, greatest) if numbered == 1 or not is_whole else None


def may_be_key(seen: Seen, found: KeyFacts) -> bool:
    """Return whether a column whose name suggests a key is one, with a few faults perhaps."""
    missing = seen.rows - seen.filled
    repeats = len(found.repeated)
    if not missing and not repeats:
        return True
    if not is_rare(missing + repeats, seen.rows):
        return False
    if not repeats or _SURE.search(seen.name):
        return True
    if found.numbers is None:
        return False
    rows, least, greatest = found.numbers
    expected = rows * rows / (greatest - least + 1)  # rows of random numbers that repeat
    return expected >= FEWER * repeats
