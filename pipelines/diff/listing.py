"""The rows that a comparison lists: ordinals, fates, rules, cause, and a key that may be shown."""
# ruff: noqa: S608  # every name in the SQL here is our own; cells travel as Arrow

import datetime as dt
import decimal
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.diff.causes import Ground, Weighed
from pipelines.diff.pairing import ALTERED, OTHER
from pipelines.diff.side import FATES, Side

if TYPE_CHECKING:
    import duckdb

_COLUMNS = "a, b, fate_a, fate_b, content, kind, file, place"
_NOBODY = "NULL AS content, NULL AS kind, file, place"
# kind of list: its rows, and where run b has them, or run a those that went
_LISTS = {
    "went": f"SELECT row AS a, NULL AS b, fate AS fate_a, NULL AS fate_b, {_NOBODY} FROM left_a",
    "came": f"SELECT NULL AS a, row AS b, NULL AS fate_a, fate AS fate_b, {_NOBODY} FROM left_b",
    "changed": f"SELECT {_COLUMNS} FROM (SELECT n.*, t.kind FROM notable n LEFT JOIN turned t "
    f"ON t.a = n.a AND t.b = n.b) WHERE content IN ({OTHER}, {ALTERED})",
    "fate_changed": f"SELECT {_COLUMNS} FROM (SELECT n.*, t.kind FROM notable n JOIN turned t "
    "ON t.a = n.a AND t.b = n.b)",
}


class Listing:
    """Lists rows of a comparison that is done."""

    def __init__(
        self,
        connection: "duckdb.DuckDBPyConnection",
        sides: tuple[Side, Side],
        weighed: list[tuple[Weighed, list[Ground]]],
        key: tuple[str, ...],
    ) -> None:
        """Take what `Pairing` and `weigh` left; `key` is empty where no key may be shown."""
        self._connection, self._key, self._weighed = connection, key, weighed
        self._sides = dict(zip("ab", sides, strict=True))

    def rows(self, kind: str, limit: int) -> list[dict[str, Any]]:
        """Return the first rows of a kind, 0 for all, as they stand in `--json`."""
        most = f" LIMIT {int(limit)}" if limit else ""
        self._connection.execute(
            f"CREATE OR REPLACE TABLE listed AS FROM ({_LISTS[kind]}) ORDER BY a, b{most}"
        )
        found = self._connection.execute("SELECT * FROM listed ORDER BY a, b").fetchall()
        rules = {run: self._rules(run) for run in self._sides}
        keys = self._keys("a" if kind == "went" else "b") if self._key else {}
        return [self._row(item, rules, keys) for item in found]

    def _row(
        self,
        item: tuple[Any, ...],
        rules: dict[str, dict[int, list[str]]],
        keys: dict[int, Any],
    ) -> dict[str, Any]:
        a, b, fate_a, fate_b, content, kind, *_ = item
        is_changed = content in (OTHER, ALTERED)
        told = {
            "row_a": a,
            "row_b": b,
            "key": keys.get(a if b is None else b),
            "fate_a": None if fate_a is None else FATES[fate_a],
            "fate_b": None if fate_b is None else FATES[fate_b],
            "rules_a": rules["a"].get(a, []),
            "rules_b": rules["b"].get(b, []),
            "changed": is_changed,
        }
        if kind is not None:
            weighed, grounds = self._weighed[kind]
            listed = [{"run": g.run, "check": g.check, "rule": g.rule, "column": g.column or None}
                      for g in grounds]  # fmt: skip
            return {**told, "cause": weighed.cause, "may_be": list(weighed.may_be),
                    "grounds": listed}  # fmt: skip
        cause = {OTHER: "data", ALTERED: "decision"}.get(content)
        return {**told, "cause": cause, "may_be": [], "grounds": []}

    def _rules(self, run: str) -> dict[int, list[str]]:
        """Return the rules that found each listed row, or the code why it could not be read."""
        found = self._connection.execute(
            f"""SELECT row, list_sort(list(DISTINCT rule)) FROM (
                SELECT row, rule FROM found_{run} WHERE row IN (SELECT {run} FROM listed)
                UNION ALL SELECT row, code FROM refused_{run}
                WHERE code <> '' AND row IN (SELECT {run} FROM listed)
            ) GROUP BY row"""
        )
        return dict(found.fetchall())

    def _keys(self, run: str) -> dict[int, Any]:
        query = f"SELECT {run} AS row, file, place FROM listed"
        places = self._connection.sql(query).order("file, place").to_arrow_table()
        side, found = self._sides[run], {}
        for file in np.unique(places["file"].to_numpy()).tolist():
            part = places.filter(places["file"].to_numpy() == file)
            keys = side.keys(side.placed[file], self._key, part["place"].to_numpy())
            for row, key in zip(part["row"].to_pylist(), keys.to_pylist(), strict=True):
                if any(cell is not None for cell in key.values()):  # others cannot be read
                    found[row] = {name: _plain(cell) for name, cell in key.items()}
        return found


def hidden(connection: "duckdb.DuckDBPyConnection", a: Side, b: Side, key: tuple[str, ...]) -> str:
    """Return why a key must not be shown, empty if it may be."""
    for side in (a, b):
        for name in key:
            if side.contract.column(name).is_personal:
                return f"the contract of run {side.entry.seq} marks {name} by assay.pii"
    for run, side in (("a", a), ("b", b)):
        if side.facts["checks"].get("pii") != "ok":
            return f"run {side.entry.seq} was not searched for personal data"
        query = f'SELECT "column" FROM found_{run} WHERE "check" = \'pii\' AND "column" IN ?'
        if found := connection.execute(query, [list(key)]).fetchone():
            return f"run {side.entry.seq} found personal data in {found[0]}"
    return ""


def _plain(cell: object) -> object:
    """Return a key's cell as JSON has it."""
    if isinstance(cell, dt.date | dt.time):
        return cell.isoformat()
    if isinstance(cell, float) and not math.isfinite(cell):
        return str(cell)
    return str(cell) if isinstance(cell, decimal.Decimal) else cell
