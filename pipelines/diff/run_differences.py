"""What differs between two runs as a whole: sources, contract, code, models, findings, columns."""

from typing import TYPE_CHECKING, Any

from pipelines.diff.side import Side

if TYPE_CHECKING:
    import duckdb

_FINDINGS = """
SELECT "check", rule, severity, sum(of_a)::BIGINT AS a, sum(of_b)::BIGINT AS b FROM (
    SELECT "check", rule, severity, 1 AS of_a, 0 AS of_b FROM found_a UNION ALL
    SELECT "check", rule, severity, 0, 1 FROM found_b
) GROUP BY ALL ORDER BY ALL
"""


def differences(connection: "duckdb.DuckDBPyConnection", a: Side, b: Side) -> dict[str, Any]:
    """Return the object that stands under `differs`: of each thing whether it is the same."""
    facts = a.facts, b.facts
    plain = {
        name: _pair(*(item.get(name) for item in facts))
        for name in ("dataset", "engine", "policy", "reference", "verdict")
    }
    contracts = [
        {"sha256": item["contract"]["sha256"], "version": item["contract"]["version"]}
        for item in facts
    ]
    names = sorted(a.models.keys() | b.models.keys())
    models = {name: (a.models.get(name), b.models.get(name)) for name in names}
    rows = connection.execute(_FINDINGS)
    columns = [item[0] for item in rows.description]
    return {
        **plain,
        "contract": _pair(*contracts),
        "code": _pair(*(item["code"] for item in facts)),
        "decisions": _pair(len(a.decisions), len(b.decisions)),
        "sources": _sources(a, b),
        "models": {name: dict(zip("ab", pair, strict=True)) for name, pair in models.items()
                   if pair[0] != pair[1]},
        "findings": [dict(zip(columns, row, strict=True)) for row in rows.fetchall()],
        "columns": _columns(a, b),
    }  # fmt: skip


def _pair(mine: Any, theirs: Any) -> dict[str, Any]:
    return {"same": mine == theirs, "a": mine, "b": theirs}


def _sources(a: Side, b: Side) -> dict[str, Any]:
    def alone(side: Side, other: Side) -> list[dict[str, Any]]:
        return [
            {"name": item["name"], "sha256": sha256, "rows": item["rows"]}
            for sha256, item in side.inputs.items()
            if sha256 not in other.inputs
        ]

    return {
        "same": list(a.inputs) == list(b.inputs),
        "shared": len(a.inputs.keys() & b.inputs.keys()),
        "only_a": alone(a, b),
        "only_b": alone(b, a),
    }


def _columns(a: Side, b: Side) -> dict[str, Any]:
    both = [name for name in a.schema.names if name in b.schema.names]
    kinds = [
        (name, str(a.schema.field(name).type), str(b.schema.field(name).type)) for name in both
    ]
    return {
        "added": [name for name in b.schema.names if name not in both],
        "removed": [name for name in a.schema.names if name not in both],
        "retyped": [{"column": name, "a": x, "b": y} for name, x, y in kinds if x != y],
    }
