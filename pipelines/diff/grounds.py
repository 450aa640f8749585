"""The grounds of every changed fate, gathered in DuckDB and weighed once for each kind of it."""
# ruff: noqa: S608  # every name in the SQL here is our own; cells travel as Arrow

import contextlib
from typing import TYPE_CHECKING

import pyarrow as pa

from pipelines.diff.causes import Ground, Judge, Weighed
from pipelines.diff.pairing import ALTERED, OTHER
from pipelines.diff.side import FATES, Side

if TYPE_CHECKING:
    import duckdb

_ALTERING = ("relabel", "redact")
_DECIDED = pa.schema([("row", pa.int64()), ("decision", pa.string()), ("value", pa.string())])
_REFUSED = pa.schema([("_row", pa.int64()), ("_reason", pa.string())])
_CODE = "^ASSAY-[A-Z][0-9]{3}"
_CLEAN, _HELD, _UNREAD = range(len(FATES))

# pairs that differ, with their place in run b's files
_NOTABLE = f"""
CREATE TABLE notable AS
WITH told AS (
    SELECT p.*, da.row IS NOT NULL AS decided_a, db.row IS NOT NULL AS decided_b,
        (da.decision, da.value) IS DISTINCT FROM (db.decision, db.value) AS differ, differ AND
        coalesce(da.decision IN {_ALTERING} OR db.decision IN {_ALTERING}, false) AS is_altered
    FROM pairs p LEFT JOIN decided_a da ON da.row = p.a LEFT JOIN decided_b db ON db.row = p.b
), chosen AS (
    SELECT * REPLACE (CASE WHEN is_altered AND content <> {OTHER} THEN {ALTERED} ELSE content END
        AS content)
    FROM told WHERE fate_a <> fate_b OR content = {OTHER} OR is_altered
)
SELECT c.*, b.file, b.place FROM chosen c JOIN b ON b.row = c.b
"""
_CHANGED = """
CREATE TABLE changed AS
SELECT a, b, fate_a, fate_b, content, decided_a, decided_b, differ FROM notable
WHERE fate_a <> fate_b
"""
_GROUNDS = """
CREATE TABLE grounds AS
""" + " UNION ALL ".join(
    f"""
SELECT DISTINCT c.a, c.b, '{run}' AS run, f."check", f.rule, coalesce(f."column", '') AS of,
    {_HELD} AS fate
FROM changed c JOIN found_{run} f ON f.row = c.{run} WHERE f.severity = 'error'
UNION ALL
SELECT c.a, c.b, '{run}', 'ingest', r.code, '', {_UNREAD}
FROM changed c JOIN refused_{run} r ON r.row = c.{run} WHERE r.code <> ''
"""
    for run in "ab"
)
# `u_a` and `u_b` are the fates that the rows would have if nobody had decided on them
_UNDECIDED = f"""
CREATE TABLE undecided AS
SELECT c.*, CASE WHEN c.decided_a THEN coalesce(w.a_fate, {_CLEAN}) ELSE c.fate_a END AS u_a,
    CASE WHEN c.decided_b THEN coalesce(w.b_fate, {_CLEAN}) ELSE c.fate_b END AS u_b,
FROM changed c LEFT JOIN (
    SELECT a, b, max(fate) FILTER (run = 'a') AS a_fate, max(fate) FILTER (run = 'b') AS b_fate
    FROM grounds GROUP BY a, b
) w ON w.a = c.a AND w.b = c.b
"""
# what only one run has against the row; where it cannot be read, that alone counts
_TURNED = f"""
CREATE TABLE turned AS
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
FROM turned GROUP BY kind ORDER BY kind
"""


def register(
    connection: "duckdb.DuckDBPyConnection", a: Side, b: Side, stack: contextlib.ExitStack
) -> None:
    """Make what tells of rows: `found_`, `refused_` and `decided_` of either run.

    `stack` keeps the files open that they are read from.
    """
    for run, side in (("a", a), ("b", b)):
        connection.register(f"found_{run}", side.files.dataset("findings", stack))
        refused = side.files.dataset("rejected", stack, _REFUSED)
        connection.register(f"reasons_{run}", refused)
        connection.execute(
            f"CREATE VIEW refused_{run} AS SELECT _row AS row, "
            f"regexp_extract(_reason, '{_CODE}') AS code FROM reasons_{run}"
        )
        decided = [
            {"row": item.row, "decision": item.decision, "value": item.value}
            for item in side.decisions.values()
        ]
        connection.register(f"decided_{run}", pa.Table.from_pylist(decided, _DECIDED))


def weigh(
    connection: "duckdb.DuckDBPyConnection", judge: Judge
) -> list[tuple[Weighed, list[Ground]]]:
    """Give each changed fate its cause.

    Leaves `notable`, the pairs that differ, with `file` and `place` of the row in run b; and
    `turned`, those of another fate, with `kind`: a place in what is returned, which are the
    causes, each with its grounds.
    """
    for query in (_NOTABLE, _CHANGED, _GROUNDS, _UNDECIDED, _TURNED):
        connection.execute(query)
    found = []
    for is_decided, content, leaves, listed in connection.execute(_KINDS).fetchall():
        grounds = [Ground(*item) for item in listed]
        weighed = judge.weigh(grounds, content, leaves=leaves)
        found.append((Weighed("decision") if is_decided else weighed, grounds))
    return found
