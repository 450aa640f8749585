"""Two committed runs compared row by row: which came, went, changed, or have another fate, and why.

Rows are paired as pairing.py says, causes are found as causes.py says.
No cell but a key's is told, and no key that may be personal.
"""

import contextlib
import functools
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from checks.kit.contract_model import Contract
from pipelines.diff import grounds, side
from pipelines.diff import listing as diff_listed
from pipelines.diff.causes import Ground, Judge, Weighed
from pipelines.diff.pairing import ALTERED, OTHER, How, Pairing
from pipelines.diff.run_differences import differences
from pipelines.diff.side import FATES, Side
from pipelines.store import trust
from pipelines.store.store import Store
from provenance.rows import digest

LISTS = ("went", "came", "changed", "fate_changed")
MEMORY = "1GB"
REPLACED = ("redact", "pseudonymise")  # columns whose texts are others in the clean files


def compare(store: Store, run_a: str, run_b: str, limit: int) -> dict[str, Any]:
    """Return the comparison of two runs: the one object that `--json` prints.

    Args:
        store: of both runs.
        run_a: number of a run or release, or `latest`.
        run_b: the same; what differs is told as a change from a to b.
        limit: rows to list of each kind, 0 for all.

    Raises:
        AssayError: ASSAY-C013 if there is no such run, L001 to L011 if the ledger or a file of
            either run does not hold, C014 if a run read one file twice.
    """
    import duckdb

    trust.require_whole(store)
    with ThreadPoolExecutor() as pool:
        a, b = pool.map(functools.partial(side.opened, store), (run_a, run_b))
    how = how_of(a, b)
    with (
        tempfile.TemporaryDirectory(prefix="assay-diff-") as spill,
        contextlib.ExitStack() as stack,
    ):
        connection = duckdb.connect(":memory:")
        try:
            for setting, value in (("memory_limit", MEMORY), ("temp_directory", spill)):
                connection.execute(f"SET {setting} = '{value}'")
            for setting in ("enable_progress_bar", "preserve_insertion_order"):
                connection.execute(f"SET {setting} = false")
            grounds.register(connection, a, b, stack)
            Pairing(connection, a, b, how).pair()
            return _told(connection, a, b, how, limit)
        finally:
            connection.close()


def how_of(a: Side, b: Side) -> How:
    """Decide by what the rows of two runs are paired and compared."""
    shared: dict[str, int] = {}
    number = 0
    for sha256, source in b.inputs.items():
        if sha256 in a.inputs and a.inputs[sha256]["rows"] == source["rows"]:
            shared[sha256] = number
            number += source["rows"]
    return How(shared, _key(a.contract, b.contract), _compared(a, b))


def _key(a: Contract, b: Contract) -> tuple[str, ...]:
    """Return the primary key that both contracts name, unless clean files hold it replaced."""
    mine, theirs = ({c.name: c for c in contract.columns if c.key} for contract in (a, b))
    is_replaced = any(c.pii in REPLACED for c in (*mine.values(), *theirs.values()))
    return tuple(mine) if mine.keys() == theirs.keys() and not is_replaced else ()


def _compared(a: Side, b: Side) -> tuple[str, ...] | None:
    """Return the columns to compare, or None if the row ids of both runs compare all of them.

    Ids of one basis are equal when all cells are. Where a column is new, gone or of another
    type, or the limits are others, or one run's ids are keyed and the other's are not, cells are
    compared instead: of the columns that both contracts describe alike and leave as they are.
    """
    mine, theirs = _described(a), _described(b)
    is_one_basis = mine == theirs and a.is_keyed == b.is_keyed
    if is_one_basis and dict(a.contract.limits) == dict(b.contract.limits):
        return None
    return tuple(
        column.name
        for column in b.contract.columns
        if mine.get(column.name) == theirs[column.name]
        and not {column.pii, a.contract.column(column.name).pii} & set(REPLACED)
    )


def _described(side: Side) -> dict[str, Any]:
    return {
        column.name: (column.spec, digest.kind_of(side.schema.field(column.name)))
        for column in side.contract.columns
    }


def _told(connection: Any, a: Side, b: Side, how: How, limit: int) -> dict[str, Any]:
    weighed = grounds.weigh(connection, Judge(a, b, how))
    why = diff_listed.hidden(connection, a, b, how.key) if how.key else "the runs share no key"
    shown = () if why else how.key
    listing = diff_listed.Listing(connection, (a, b), weighed, shown)
    return {
        "schema": "assay.diff/1",
        "run_a": a.entry.seq,
        "run_b": b.entry.seq,
        "paired_by": {"shared_rows": sum(b.inputs[name]["rows"] for name in how.shared),
                      "key": list(how.key) or None,
                      "compared": None if how.compared is None else list(how.compared)},
        "keys_hidden": why or None,
        "counts": _counts(connection),
        "fates": _fates(connection, weighed),
        "differs": differences(connection, a, b),
        "limit": limit,
        **{kind: listing.rows(kind, limit) for kind in LISTS},
        "error": None,
    }  # fmt: skip


def _counts(connection: Any) -> dict[str, Any]:
    """Return numbers of rows.

    a = paired + went, b = paired + came, paired = unchanged + changed + fate_changed -
    changed_with_fate.
    """
    [(paired,)] = connection.execute("SELECT count(*) FROM pairs").fetchall()
    changed = Counter[tuple[bool, bool]]()
    for content, is_turned, rows in connection.execute(
        "SELECT content, fate_a <> fate_b, count(*) FROM notable GROUP BY ALL"
    ).fetchall():
        changed[content in (OTHER, ALTERED), is_turned] += rows
    came, went = _alone(connection, "left_b"), _alone(connection, "left_a")
    return {
        "a": paired + sum(went.values()),
        "b": paired + sum(came.values()),
        "paired": paired,
        "unchanged": paired - changed.total(),
        "changed": changed[True, False] + changed[True, True],
        "fate_changed": changed[False, True] + changed[True, True],
        "changed_with_fate": changed[True, True],
        "came": sum(came.values()),
        "went": sum(went.values()),
        "came_as": came,
        "went_from": went,
    }


def _alone(connection: Any, rows: str) -> dict[str, int]:
    """Return how many rows without a pair have each fate."""
    counted = connection.table(rows).aggregate("fate, count(*)").order("fate").fetchall()
    return {FATES[fate]: count for fate, count in counted}


def _fates(connection: Any, weighed: list[tuple[Weighed, list[Ground]]]) -> list[dict[str, Any]]:
    """Return how many rows went from one fate to another, and by which causes."""
    counted: dict[tuple[int, int], Counter[str]] = {}
    for fate_a, fate_b, kind, rows in connection.execute(
        "SELECT fate_a, fate_b, kind, count(*) FROM turned GROUP BY ALL ORDER BY ALL"
    ).fetchall():
        counted.setdefault((fate_a, fate_b), Counter())[weighed[kind][0].cause] += rows
    return [
        {"from": FATES[x], "to": FATES[y], "rows": causes.total(), "causes": dict(causes)}
        for (x, y), causes in counted.items()
    ]
