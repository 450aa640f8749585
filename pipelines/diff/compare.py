"""Two committed runs compared row by row: which rows differ, or have another fate, and why.

Rows are paired as in pairing.py, causes are found as in causes.py. The result shows no cells except
those of a key that cannot be personal.
"""
# ruff: noqa: S608  # every name in the SQL here is our own; cells travel as Arrow

import contextlib
import datetime as dt
import decimal
import functools
import math
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from checks.kit.contract_model import Contract
from pipelines.diff import causes
from pipelines.diff.causes import Explained, Judge
from pipelines.diff.compared_run import ComparedRun, open_run
from pipelines.diff.pairing import CHANGED, DECIDED, PairedBy, Pairing
from pipelines.store import trust
from pipelines.store.store import Store
from provenance.ledger.run_files import FATES
from provenance.rows import digest

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY = "1GB"
REPLACED = ("redact", "pseudonymise")  # columns whose texts are replaced in the clean files
_COLUMNS = "a, b, fate_a, fate_b, content, kind, file, place"
_UNPAIRED = "NULL AS content, NULL AS kind, file, place"
_DIFFERENT = (
    f"SELECT {_COLUMNS} FROM (SELECT n.*, c.kind FROM notable n "
    "{join} JOIN cases c ON c.a = n.a AND c.b = n.b)"
)
# each list with its rows and their places: in run a's files for those removed, else in run b's
_LISTS = {
    "went": f"SELECT row AS a, NULL AS b, fate AS fate_a, NULL AS fate_b, {_UNPAIRED} FROM left_a",
    "came": f"SELECT NULL AS a, row AS b, NULL AS fate_a, fate AS fate_b, {_UNPAIRED} FROM left_b",
    "changed": _DIFFERENT.format(join="LEFT") + f" WHERE content IN ({CHANGED}, {DECIDED})",
    "fate_changed": _DIFFERENT.format(join="INNER"),
}
LISTS = tuple(_LISTS)
_FINDINGS = """
SELECT "check", rule, severity, sum(of_a)::BIGINT AS a, sum(of_b)::BIGINT AS b FROM (
    SELECT "check", rule, severity, 1 AS of_a, 0 AS of_b FROM found_a UNION ALL
    SELECT "check", rule, severity, 0, 1 FROM found_b
) GROUP BY ALL ORDER BY ALL
"""


def compare(store: Store, run_a: str, run_b: str, limit: int) -> dict[str, Any]:
    """Return the comparison of two runs: the object that `--json` prints.

    Args:
        store: holds both runs.
        run_a: number of a run or release, or `latest`.
        run_b: the same; differences read as changes from a to b.
        limit: rows to list of each kind, 0 for all.

    Raises:
        AssayError: ASSAY-C013 if a run does not exist, L001 to L011 if the ledger or a file of
            either run is not intact, C014 if a run read the same file twice.
    """
    trust.require_whole(store)
    with ThreadPoolExecutor() as pool:
        a, b = pool.map(functools.partial(open_run, store), (run_a, run_b))
    by = _paired_by(a, b)
    with _database() as connection, contextlib.ExitStack() as stack:
        causes.register(connection, a, b, stack)
        Pairing(connection, a, b, by).pair()
        explained = causes.explain(connection, Judge(a, b, by))
        hidden = _why_hidden(connection, a, b, by.key)
        listing = _Listing(connection, a, b, explained, () if hidden else by.key)
        return {
            "schema": "assay.diff/1",
            "run_a": a.entry.seq,
            "run_b": b.entry.seq,
            "paired_by": {"shared_rows": sum(b.inputs[name]["rows"] for name in by.shared),
                          "key": list(by.key) or None,
                          "compared": None if by.compared is None else list(by.compared)},
            "keys_hidden": hidden or None,
            "counts": _counts(connection),
            "fates": _fates(connection, explained),
            "differs": _differences(connection, a, b),
            "limit": limit,
            **{kind: listing.rows(kind, limit) for kind in LISTS},
            "error": None,
        }  # fmt: skip


@contextlib.contextmanager
def _database() -> Iterator["DuckDBPyConnection"]:
    """Open a database in memory that spills to a temporary folder."""
    import duckdb

    with (
        tempfile.TemporaryDirectory(prefix="assay-diff-") as spill,
        contextlib.closing(duckdb.connect(":memory:")) as connection,
    ):
        for setting, value in (("memory_limit", MEMORY), ("temp_directory", spill)):
            connection.execute(f"SET {setting} = '{value}'")
        for setting in ("enable_progress_bar", "preserve_insertion_order"):
            connection.execute(f"SET {setting} = false")
        yield connection


def _paired_by(a: ComparedRun, b: ComparedRun) -> PairedBy:
    """Decide what the rows of two runs are paired and compared by."""
    shared: dict[str, int] = {}
    number = 0
    for sha256, source in b.inputs.items():
        if sha256 in a.inputs and a.inputs[sha256]["rows"] == source["rows"]:
            shared[sha256] = number
            number += source["rows"]
    return PairedBy(shared, _shared_key(a.contract, b.contract), _compared(a, b))


def _shared_key(a: Contract, b: Contract) -> tuple[str, ...]:
    """Return the primary key that both contracts name, unless clean files hold it replaced."""
    mine, theirs = ({c.name: c for c in contract.columns if c.key} for contract in (a, b))
    is_replaced = any(c.pii in REPLACED for c in (*mine.values(), *theirs.values()))
    return tuple(mine) if mine.keys() == theirs.keys() and not is_replaced else ()


def _compared(a: ComparedRun, b: ComparedRun) -> tuple[str, ...] | None:
    """Return the columns to compare, or None if the row ids of both runs compare all of them.

    Row ids made in the same way are equal when all cells are. Where a column was added, removed or
    retyped, the limits differ, or only one run's ids are keyed, cells are compared instead: those
    of the columns that both contracts describe alike and leave unreplaced.
    """
    mine, theirs = _described(a), _described(b)
    is_comparable = mine == theirs and a.is_keyed == b.is_keyed
    if is_comparable and dict(a.contract.limits) == dict(b.contract.limits):
        return None
    return tuple(
        column.name
        for column in b.contract.columns
        if mine.get(column.name) == theirs[column.name]
        and not {column.pii, a.contract.column(column.name).pii} & set(REPLACED)
    )


def _described(run: ComparedRun) -> dict[str, Any]:
    return {
        column.name: (column.spec, digest.kind_of(run.schema.field(column.name)))
        for column in run.contract.columns
    }


def _why_hidden(
    connection: "DuckDBPyConnection", a: ComparedRun, b: ComparedRun, key: tuple[str, ...]
) -> str:
    """Return why keys must not be shown, empty if they may be."""
    if not key:
        return "the runs share no primary key"
    for run in (a, b):
        for name in key:
            if run.contract.column(name).is_personal:
                return f"the contract of run {run.entry.seq} marks column {name} with assay.pii"
    for letter, run in (("a", a), ("b", b)):
        if run.facts["checks"].get("pii") != "ok":
            return f"run {run.entry.seq} was not searched for personal data"
        query = f'SELECT "column" FROM found_{letter} WHERE "check" = \'pii\' AND "column" IN ?'
        if found := connection.execute(query, [list(key)]).fetchone():
            return f"run {run.entry.seq} found personal data in column {found[0]}"
    return ""


def _counts(connection: "DuckDBPyConnection") -> dict[str, Any]:
    """Return numbers of rows.

    a = paired + went, b = paired + came, paired = unchanged + changed + fate_changed -
    changed_with_fate.
    """
    [(paired,)] = connection.execute("SELECT count(*) FROM pairs").fetchall()
    changed = Counter[tuple[bool, bool]]()
    for content, is_turned, rows in connection.execute(
        "SELECT content, fate_a <> fate_b, count(*) FROM notable GROUP BY ALL"
    ).fetchall():
        changed[content in (CHANGED, DECIDED), is_turned] += rows
    came, went = _unpaired(connection, "left_b"), _unpaired(connection, "left_a")
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


def _unpaired(connection: "DuckDBPyConnection", rows: str) -> dict[str, int]:
    """Return the number of rows without a pair by fate."""
    counted = connection.table(rows).aggregate("fate, count(*)").order("fate").fetchall()
    return {FATES[fate]: count for fate, count in counted}


def _fates(connection: "DuckDBPyConnection", explained: list[Explained]) -> list[dict[str, Any]]:
    """Return how many rows moved from one fate to another, by cause."""
    counted: dict[tuple[int, int], Counter[str]] = {}
    for fate_a, fate_b, kind, rows in connection.execute(
        "SELECT fate_a, fate_b, kind, count(*) FROM cases GROUP BY ALL ORDER BY ALL"
    ).fetchall():
        counted.setdefault((fate_a, fate_b), Counter())[explained[kind].cause] += rows
    return [
        {"from": FATES[x], "to": FATES[y], "rows": by_cause.total(), "causes": dict(by_cause)}
        for (x, y), by_cause in counted.items()
    ]


def _differences(
    connection: "DuckDBPyConnection", a: ComparedRun, b: ComparedRun
) -> dict[str, Any]:
    """Return the object under `differs`: what differs between the runs as a whole."""

    def pair(mine: Any, theirs: Any) -> dict[str, Any]:
        return {"same": mine == theirs, "a": mine, "b": theirs}

    def contract(run: ComparedRun) -> dict[str, str]:
        return {name: run.facts["contract"][name] for name in ("sha256", "version")}

    def only(run: ComparedRun, other: ComparedRun) -> list[dict[str, Any]]:
        return [
            {"name": item["name"], "sha256": sha256, "rows": item["rows"]}
            for sha256, item in run.inputs.items()
            if sha256 not in other.inputs
        ]

    plain = ("dataset", "engine", "policy", "reference", "verdict", "code")
    models = {name: {"a": a.models.get(name), "b": b.models.get(name)}
              for name in sorted(a.models.keys() | b.models.keys())}  # fmt: skip
    rows = connection.execute(_FINDINGS)
    columns = [item[0] for item in rows.description]
    old, new = ({field.name: str(field.type) for field in run.schema} for run in (a, b))
    return {
        **{name: pair(a.facts.get(name), b.facts.get(name)) for name in plain},
        "contract": pair(contract(a), contract(b)),
        "decisions": pair(len(a.decisions), len(b.decisions)),
        "sources": {"same": list(a.inputs) == list(b.inputs),
                    "shared": len(a.inputs.keys() & b.inputs.keys()),
                    "only_a": only(a, b), "only_b": only(b, a)},
        "models": {name: both for name, both in models.items() if both["a"] != both["b"]},
        "findings": [dict(zip(columns, row, strict=True)) for row in rows.fetchall()],
        "columns": {"added": [name for name in new if name not in old],
                    "removed": [name for name in old if name not in new],
                    "retyped": [{"column": name, "a": kind, "b": new[name]}
                                for name, kind in old.items() if new.get(name, kind) != kind]},
    }  # fmt: skip


class _Listing:
    """Lists the rows of a finished comparison."""

    def __init__(
        self,
        connection: "DuckDBPyConnection",
        a: ComparedRun,
        b: ComparedRun,
        explained: list[Explained],
        key: tuple[str, ...],
    ) -> None:
        """Keep the arguments; `key` is empty where keys must not be shown."""
        self._connection, self._runs = connection, {"a": a, "b": b}
        self._explained, self._key = explained, key

    def rows(self, kind: str, limit: int) -> list[dict[str, Any]]:
        """Return the first rows of a kind, 0 for all, as `--json` shows them."""
        most = f" LIMIT {int(limit)}" if limit else ""
        self._connection.execute(
            f"CREATE OR REPLACE TABLE listed AS FROM ({_LISTS[kind]}) ORDER BY a, b{most}"
        )
        found = self._connection.execute("SELECT * FROM listed ORDER BY a, b").fetchall()
        rules_a, rules_b = self._rules("a"), self._rules("b")
        keys = self._keys("a" if kind == "went" else "b") if self._key else {}
        return [
            {
                "row_a": a,
                "row_b": b,
                "key": keys.get(a if b is None else b),
                "fate_a": None if fate_a is None else FATES[fate_a],
                "fate_b": None if fate_b is None else FATES[fate_b],
                "rules_a": rules_a.get(a, []),
                "rules_b": rules_b.get(b, []),
                "changed": content in (CHANGED, DECIDED),
                **self._cause(content, case),
            }
            for a, b, fate_a, fate_b, content, case, *_ in found
        ]

    def _cause(self, content: int | None, case: int | None) -> dict[str, Any]:
        if case is None:
            cause = {CHANGED: "data", DECIDED: "decision"}.get(content or 0)
            return {"cause": cause, "may_be": [], "grounds": []}
        why = self._explained[case]
        grounds = [{"run": g.run, "check": g.check, "rule": g.rule, "column": g.column or None}
                   for g in why.grounds]  # fmt: skip
        return {"cause": why.cause, "may_be": list(why.may_be), "grounds": grounds}

    def _rules(self, run: str) -> dict[int, list[str]]:
        """Return the rules that found each listed row, or the code of its rejection."""
        found = self._connection.execute(
            f"""SELECT row, list_sort(list(DISTINCT rule)) FROM (
                SELECT row, rule FROM found_{run} WHERE row IN (SELECT {run} FROM listed)
                UNION ALL SELECT row, code FROM rejected_{run}
                WHERE code <> '' AND row IN (SELECT {run} FROM listed)
            ) GROUP BY row"""
        )
        return dict(found.fetchall())

    def _keys(self, run: str) -> dict[int, Any]:
        query = f"SELECT {run} AS row, file, place FROM listed"
        located = self._connection.sql(query).order("file, place").to_arrow_table()
        found = {}
        for rows, keys in self._runs[run].keys_of(located, self._key):
            for row, key in zip(rows.to_pylist(), keys.to_pylist(), strict=True):
                if any(cell is not None for cell in key.values()):  # the others cannot be read
                    found[row] = {name: _as_json(cell) for name, cell in key.items()}
        return found


def _as_json(cell: object) -> object:
    """Return a key's cell as a JSON value."""
    if isinstance(cell, dt.date | dt.time):
        return cell.isoformat()
    if isinstance(cell, decimal.Decimal) or (isinstance(cell, float) and not math.isfinite(cell)):
        return str(cell)
    return cell
