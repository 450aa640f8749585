"""Tables with roles, flat columns and lists, judged by one check as a run would judge them."""

import functools
import itertools

import numpy as np
import pyarrow as pa

from checks.kit import findings
from checks.kit.contract_model import Column, Contract
from checks.kit.protocol import Context
from checks.kit.visible_columns import shard_seen
from provenance.rows import digest
from provenance.rows.column_types import ColumnSpec
from provenance.rows.nested import flat_names
from provenance.rows.shards import Shard

LOGICAL = {"int64": "integer", "double": "number", "string": "string", "bool": "boolean"}


def contract_of(table, classes=(), **roles):
    """Return a contract over a table; `roles` maps a column to its role."""
    columns = []
    for field in table.schema:
        role = roles.get(field.name)
        columns.append(
            Column(
                _spec(field),
                roles=frozenset({role} - {None}),
                classes=tuple(classes) if role == "label" else (),
            )
        )
    return Contract("t", "1", "t.yaml", "0" * 64, tuple(columns))


def _spec(field):
    if pa.types.is_list(field.type):
        items = ColumnSpec("items", LOGICAL[str(field.type.value_type)])
        return ColumnSpec(field.name, "array", items=items)
    return ColumnSpec(field.name, LOGICAL[str(field.type)])


def shards_of(table, contract, sizes=()):
    """Cut a table into shards of the given sizes, as checks see them; the rest is the last one."""
    digests = digest.of_rows(table)
    ends = [0, *itertools.accumulate(sizes), len(table)]
    return [
        shard_seen(
            Shard(n, table.slice(low, high - low), np.arange(low, high), digests[low:high]),
            contract,
        )
        for n, (low, high) in enumerate(itertools.pairwise(ends))
    ]


def judged(kind, table, sizes=(), *, classes=(), more=None, **roles):
    """Return the findings and the model of one check; `more` are fields of the context."""
    contract = contract_of(table, classes, **roles)
    flat = table.select(flat_names(table.schema)).schema
    check = kind(Context(contract, flat, len(table), **(more or {})))
    shards = shards_of(table, contract, sizes)
    model = check.finish(functools.reduce(check.merge, map(check.fit, shards)))
    parts = [model.overall, *(check.score(shard, model) for shard in shards)]
    return findings.ordered(findings.concat(parts)), model


def rows_by_rule(found):
    """Return the rows of each rule, and None for findings on the dataset."""
    made = {}
    for item in found.to_pylist():
        made.setdefault(item["rule"], []).append(item["row"])
    return made
