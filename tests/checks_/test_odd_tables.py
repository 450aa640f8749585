"""Tables that no model can learn from: every check answers, none raises."""

import numpy as np
import pyarrow as pa
import pytest
import tables

from checks.kit import findings, registry

ROWS = 150
ODD = {
    "one class": {"label": ["yes"] * ROWS},
    "a class a row": {"label": [f"c{n}" for n in range(ROWS)]},
    "extremes": {
        "income": np.resize([np.nan, 1e308, -1e308, 5e-324, -0.0], ROWS),
        "late": np.resize([2**63 - 1, -(2**63), 0], ROWS),
    },
    "a level a row": {
        "kind": [f"k{n}" for n in range(ROWS)],
        "branch": [f"b{n}" for n in range(ROWS)],
    },
    "constant": {"income": np.ones(ROWS), "kind": ["a"] * ROWS, "branch": ["b"] * ROWS},
    "wide": {f"w{n}": np.random.default_rng(n).normal(size=ROWS) for n in range(120)},
}
# personal data have tests of their own; what it reads here is no odder than elsewhere
NAMES = sorted(set(registry.load()) - {"pii"})


@pytest.mark.parametrize("kind", ODD)
def test_every_check_answers(kind):
    columns = dict(zip(tables.loans(ROWS).schema.names, tables.loans(ROWS).columns, strict=True))
    table = pa.table(columns | ODD[kind])
    context = tables.context_for(table, tables.loans(300, seed=2), **tables.ROLES)
    if kind == "wide":
        context = tables.context_for(table, **tables.ROLES)  # a reference has the same columns
    for name in NAMES:
        is_fit = "reference" not in registry.load()[name].needs or context.reference is not None
        check, [shard] = registry.load()[name](context), tables.cut(table)
        if is_fit:
            model = check.finish(check.fit(shard))
            found = findings.concat([model.overall, check.score(shard, model)])
            assert set(found["check"].to_pylist()) <= {name}


def test_without_a_label_the_others_answer():
    table = tables.loans(ROWS)
    context = tables.context_for(table, **{k: v for k, v in tables.ROLES.items() if k != "label"})
    chosen, skipped = registry.select(context)
    assert {"labels", "leakage", "poison"} <= skipped.keys()
    assert {"duplicates", "outliers", "sources", "values"} <= chosen.keys()
    [shard] = tables.cut(table)
    for name in chosen.keys() - {"pii"}:
        check = chosen[name]
        check.score(shard, check.finish(check.fit(shard)))
