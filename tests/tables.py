"""Small tables, contracts and shards for tests, made from plain columns."""

import numpy as np
import pyarrow as pa

from checks.kit.contract_model import Column, Contract
from checks.kit.protocol import Context
from provenance.rows import digest
from provenance.rows.column_types import ColumnSpec
from provenance.rows.shards import Shard

LOGICAL = {"int64": "integer", "double": "number", "string": "string", "bool": "boolean",
           "date32[day]": "date", "timestamp[us]": "timestamp"}  # fmt: skip


def contract_for(schema: pa.Schema, **roles: str) -> Contract:
    """Return a contract over a schema; `roles` maps a column to its role, or to `key`."""
    columns = []
    for field in schema:
        role = roles.get(field.name)
        columns.append(
            Column(
                ColumnSpec(field.name, LOGICAL[str(field.type)]),
                roles=frozenset({role} - {None, "key"}),
                key=role == "key",
            )
        )
    return Contract("t", "1", "t.yaml", "0" * 64, tuple(columns))


def context_for(table: pa.Table, reference: pa.Table | None = None, **roles: str) -> Context:
    """Return the context of checks over a table."""
    return Context(contract_for(table.schema, **roles), table.schema, len(table), reference)


def cut(table: pa.Table, *sizes: int) -> list[Shard]:
    """Cut a table into shards of the given sizes; the rest is the last one."""
    digests, shards, start = digest.of_rows(table), [], 0
    for number, size in enumerate([*sizes, len(table) - sum(sizes)]):
        rows = np.arange(start, start + size, dtype=np.int64)
        shards.append(Shard(number, table.slice(start, size), rows, digests[rows]))
        start += size
    return shards


def loans(rows: int = 600, seed: int = 0) -> pa.Table:
    """Return mixed columns with a key, a label that follows from them, a source and a time."""
    rng = np.random.default_rng(seed)
    income = rng.lognormal(10, 0.5, rows)
    late = rng.poisson(0.7, rows)
    odds = late * 1.4 - income / 20_000 + rng.normal(0, 0.5, rows)
    words = np.array(["roof", "car", "school", "boat", "kitchen", "garden", "dentist", "move"])
    notes = [" ".join(words[rng.integers(0, len(words), 6)]) for _ in range(rows)]
    days = np.datetime64("2026-01-01") + rng.integers(0, 90, rows)
    return pa.table(
        {
            "id": [f"L-{seed}-{n:06d}" for n in range(rows)],
            "applied": pa.array(days.astype("datetime64[D]"), pa.date32()),
            "branch": rng.choice(["north", "south", "east"], rows),
            "income": income,
            "late": pa.array(late, pa.int64()),
            "kind": rng.choice(["a", "b", "c"], rows),
            "note": notes,
            "label": np.where(odds > 0.5, "yes", "no"),
        }
    )


ROLES = {"id": "key", "applied": "time", "branch": "source", "note": "text", "label": "label",
         "income": "quasi_identifier", "kind": "quasi_identifier"}  # fmt: skip
